"""Draws: every row once a pass, the same for any number of processes and after a stop, one component a batch."""

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard, skip_first_batches
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from obverse.core import Config, ConfigError, DataError
from obverse.training.example import Example
from obverse.training.objective import Objective
from obverse.training.sampling import Draw, DrawSampler, TrainingData


class Table:
    """Rows in memory: row i is i, i, i, ..."""

    def __init__(self, components):
        self.components = np.asarray(components, np.int8)

    def __len__(self):
        return len(self.components)

    def __getitem__(self, row):
        return Example.of([row] * (1 + row % 3))


class Noisy(Objective):
    """Adds a number to the tokens that says what was drawn."""

    def corrupt(self, example, draws):
        return Example.of(example.ids + 100 * draws.integers(1, 1000))


class Two(Noisy):
    shares = (1, 3)

    def corrupt_for(self, component, example, draws):
        return Example.of(example.ids + 1000 * component)


def data(components=(-1,) * 10, objective=Noisy, seed=0):
    return TrainingData(Table(components), objective(Config()), 7, seed)  # pyright: ignore[reportArgumentType]


rows = st.integers(1, 12)


@given(rows, st.integers(1, 4), st.integers(1, 10), st.integers(0, 3))
def test_every_row_comes_once_a_pass(count, group, steps, seed):
    draws = [*DrawSampler(data([-1] * count, seed=seed), group, group * steps)]
    assert len(draws) == group * steps
    for start in range(0, len(draws), count):
        part = draws[start : start + count]
        assert len({draw.row for draw in part}) == len(part)
        assert {draw.epoch for draw in part} == {start // count}
        assert {draw.component for draw in part} == {-1}


def test_order_depends_on_seed_and_pass():
    def order(seed):
        return [draw.row for draw in DrawSampler(data([-1] * 50, seed=seed), 1, 100)]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0)[:50] != order(0)[50:]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
def test_processes_see_together_what_one_sees(batch, processes, steps):
    sampler = DrawSampler(data(), batch * processes, batch * processes * steps)
    alone = [*BatchSampler(sampler, batch * processes, drop_last=False)]
    shards = [
        [*BatchSamplerShard(BatchSampler(sampler, batch, drop_last=False), processes, i)] for i in range(processes)
    ]
    together = [[draw for shard in shards for draw in shard[step]] for step in range(steps)]
    assert together == alone


@given(st.integers(0, 6))
def test_what_was_had_is_skipped_on_resume(had):
    source = data()
    loader = DataLoader(source, batch_size=2, sampler=DrawSampler(source, 2, 12), collate_fn=source.collate)
    whole = [batch["input_ids"].tolist() for batch in loader]
    rest = [batch["input_ids"].tolist() for batch in skip_first_batches(loader, had)]
    assert rest == whole[had:]


def test_a_row_looks_new_in_every_pass_and_the_same_at_the_same_draw():
    source = data()
    seen = [source[Draw(3, epoch=epoch)].example.ids.tolist() for epoch in (0, 1, 0)]
    assert seen[0] == seen[2] != seen[1]
    assert data(seed=1)[Draw(3)].example.ids.tolist() != seen[0]
    assert source[Draw(4)].example.ids[0] - 4 != seen[0][0] - 3


def test_batches_are_padded():
    source = data(objective=Objective)
    batch = source.collate([source[Draw(0)], source[Draw(2)]])
    assert batch["input_ids"].tolist() == [[0, 7, 7], [2, 2, 2]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert "component" not in batch


class TestMixture:
    def test_a_batch_has_one_component_by_its_share(self):
        source = data([-1] * 9, Two)
        draws = [*DrawSampler(source, 4, 4000)]
        groups = [draws[i : i + 4] for i in range(0, len(draws), 4)]
        assert all(len({draw.component for draw in group}) == 1 for group in groups)
        share = np.mean([group[0].component for group in groups])
        assert abs(share - 0.75) < 0.05
        assert sorted(draw.row for draw in draws[:9]) == [*range(9)]  # they share one stream
        batch = source.collate([source[draw] for draw in groups[0]])
        assert batch["component"].tolist() == [groups[0][0].component] * 4
        assert (batch["input_ids"][:, 0] >= 1000).tolist() == [groups[0][0].component == 1] * 4

    def test_rows_of_its_own_are_for_their_component(self):
        draws = [*DrawSampler(data([-1, 1, -1, 1, 1], Two), 2, 200)]
        assert {d.row for d in draws if d.component == 1} == {1, 3, 4}
        assert {d.row for d in draws if d.component == 0} == {0, 2}
        own = [d.row for d in draws if d.component == 1]
        assert all(sorted(own[i : i + 3]) == [1, 3, 4] for i in range(0, len(own) // 3 * 3, 3))

    def test_a_component_without_rows(self):
        with pytest.raises(DataError, match="No row of the corpus was packed for component 1"):
            DrawSampler(data([1, 1], Two), 1, 1)


@pytest.mark.parametrize(("group", "count"), [(0, 4), (3, 4), (1, 0)])
def test_parts_of_a_batch_are_refused(group, count):
    with pytest.raises(ConfigError, match="cannot be drawn"):
        DrawSampler(data(), group, count)
