"""Rows on disk: nothing lost, nothing twice, the same however they are made, and never those of something else."""

import json
import logging
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import Config, ConfigError, DataError, build
from obverse.data.scored import ScoredText
from obverse.data.scored_files import Document, DocumentSource, document_source, write_documents
from obverse.training import packing
from obverse.training._rows import Rows, alone
from obverse.training.encoding import Encoder
from obverse.training.objective import Objective
from obverse.training.objectives.mle import MLE, MLEConfig
from obverse.training.packing import PackSettings, pack
from tiny_tokenizers import SENTENCES, tokenizer

TOKENIZER = tokenizer("bpe")
MLE_OBJECTIVE = MLE(MLEConfig())
sentence = st.sampled_from(SENTENCES)
scored = st.lists(st.tuples(sentence, st.sampled_from([0.0, 0.25, 2.0])), min_size=1, max_size=3)
documents = st.lists(st.builds(lambda pairs: ScoredText(*map(tuple, zip(*pairs, strict=True))), scored), max_size=12)
few = settings(max_examples=12)


def source(texts: list[ScoredText], scores: bool = True) -> DocumentSource:
    found = [Document(f"set, line {i}", text, scores) for i, text in enumerate(texts, start=1)]
    return DocumentSource(
        "set", (), json.dumps([[t.segments, t.scores, dict(t.meta)] for t in texts]), lambda: iter(found)
    )


def packed(texts, cache, objective: Objective = MLE_OBJECTIVE, seed=0, processes=1, **given) -> Rows:
    sources = [texts] if isinstance(texts, DocumentSource) else [source(texts)]
    return pack(sources, objective, TOKENIZER, PackSettings(**given), seed=seed, processes=processes, cache=cache)


def stream(texts: list[ScoredText]) -> tuple[np.ndarray, np.ndarray]:
    found = Encoder(TOKENIZER, PackSettings()).encode(texts)
    return np.concatenate([t.ids for t in found]), np.concatenate([t.scores for t in found])


def joined(rows: Rows, field: str) -> np.ndarray:
    return np.concatenate([getattr(rows[i], field) for i in range(len(rows))])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "packed"


@pytest.fixture(scope="module")
def many() -> list[ScoredText]:
    draws = np.random.default_rng(0)
    return [ScoredText(tuple(draws.choice(SENTENCES, 3)), tuple(draws.random(3).round(2))) for _ in range(60)]


def test_a_field_called_component_is_the_users_own(cache, many):
    named = [replace(text, meta={"component": 7}) for text in many]
    rows, plain = packed(named, cache, length=16), packed(many, cache, length=16)
    assert set(rows.components.tolist()) == {-1}
    assert np.array_equal(joined(rows, "ids"), joined(plain, "ids"))


class TestBlocks:
    @few
    @given(documents, st.integers(2, 30))
    def test_blocks_are_the_stream_cut(self, tmp_path_factory, texts, length):
        cache = tmp_path_factory.mktemp("packed")
        ids, scores = stream(texts) if texts else (np.zeros(0), np.zeros(0))
        if len(ids) < length:
            with pytest.raises(DataError, match="less than one row"):
                packed(texts, cache, length=length)
            return
        rows = packed(texts, cache, length=length)
        assert len(rows) == len(ids) // length
        kept = len(rows) * length
        assert np.array_equal(joined(rows, "ids"), ids[:kept])
        assert np.array_equal(joined(rows, "labels"), ids[:kept])
        assert np.array_equal(joined(rows, "scores"), scores[:kept])
        assert rows.counts.left_over == len(ids) - kept
        assert set(rows.components.tolist()) == {-1}

    def test_chunks_leave_no_seam(self, cache, many, monkeypatch):
        whole = packed(many, cache, length=16)
        monkeypatch.setattr(packing, "CHUNK", 50)
        parts = packed(many, cache / "other", length=16)
        assert np.array_equal(joined(parts, "ids"), joined(whole, "ids"))

    @few
    @given(st.integers(0, 12), st.integers(2, 20))
    def test_skipping_blocks_leaves_the_others(self, tmp_path_factory, blocks, length):
        cache = tmp_path_factory.mktemp("packed")
        texts = [ScoredText((s, SENTENCES[i]), (0.5, 0.0)) for i, s in enumerate(SENTENCES[:20])]
        whole, rest = (packed(texts, cache, length=length, skip_tokens=n) for n in (0, blocks * length))
        assert len(rest) == len(whole) - blocks
        assert np.array_equal(joined(rest, "ids"), joined(whole, "ids")[blocks * length :])
        assert np.array_equal(joined(rest, "scores"), joined(whole, "scores")[blocks * length :])

    def test_sources_follow_each_other(self, cache, many):
        two = pack(
            [source(many[:7]), source(many[7:])], MLE_OBJECTIVE, TOKENIZER, PackSettings(length=8), seed=0, cache=cache
        )
        assert np.array_equal(joined(two, "ids"), joined(packed(many, cache, length=8), "ids"))

    def test_published_remainders_are_dropped_by_buffer_and_source(self, cache, many):
        rows = pack(
            [source(many[:2]), source(many[2:3])], MLE_OBJECTIVE, TOKENIZER,
            PackSettings(length=8, drop_remainder_per_buffer=10), seed=0, cache=cache,
        )  # fmt: skip
        ids = [stream([text])[0] for text in many[:3]]
        assert np.array_equal(joined(rows, "ids"), np.concatenate([i[: len(i) // 8 * 8] for i in ids]))
        assert rows.counts.left_over == sum(len(i) % 8 for i in ids)

    def test_more_than_a_thousand_tokens_need_wider_numbers(self, cache, many, monkeypatch):
        monkeypatch.setattr(type(TOKENIZER), "__len__", lambda self: 70_000)
        wide = packed(many, cache, length=16)
        monkeypatch.undo()
        assert json.loads((wide.folder / "rows.json").read_text())["ids"] == "uint32"
        assert np.array_equal(joined(wide, "ids"), joined(packed(many, cache / "other", length=16), "ids"))


class TestDocuments:
    @few
    @given(documents.filter(len), st.integers(2, 30))
    def test_a_row_is_a_document(self, tmp_path_factory, texts, length):
        rows = packed(texts, tmp_path_factory.mktemp("packed"), packing="documents", length=length)
        found = Encoder(TOKENIZER, PackSettings(), alone=True).encode(texts)
        assert len(rows) == len(texts)
        for row, tokens in zip(map(rows.__getitem__, range(len(rows))), found, strict=True):
            assert np.array_equal(row.ids, tokens.ids[:length])
            assert np.array_equal(row.scores, tokens.scores[:length])

    def test_entities_stay_with_their_row(self, cache):
        text = ScoredText((SENTENCES[0],), (0.0,), {"entities": ["Anna Keller", "soccer"]})
        other = ScoredText((SENTENCES[50],), (0.0,))
        texts = [text, other, other, text]
        for how in ({"packing": "documents", "length": 40}, {"length": 19}):
            rows = packed(texts, cache, **how)
            found = [
                [TOKENIZER.decode(row.ids[s:e]).strip() for s, e in row.spans]
                for row in map(rows.__getitem__, range(len(rows)))
            ]
            if "packing" in how:
                assert found == [["Anna Keller", "soccer"], [], [], ["Anna Keller", "soccer"]]
            else:
                assert {name for row in found for name in row} == {"Anna Keller", "soccer"}


class Changes(Objective):
    """Drops what scores above 1, and doubles a drawn part of the rest for component 1."""

    needs_scores = True

    def documents(self, document, draws):
        if document.average <= 1:
            yield document
        if draws.random() < 0.5:
            yield replace(document, meta={"component": 1})


class Asked(Objective):
    """Remembers what it was asked about."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.about: list[ScoredText] = []

    def documents(self, document, draws):
        self.about.append(document)
        yield document


class Shouts(Objective):
    def documents(self, document, draws):
        yield ScoredText((document.text.upper(),), (0.0,))


class Drops(Objective):
    def documents(self, document, draws):
        return iter(())


class TestObjectives:
    def test_what_it_yields_is_packed_by_component(self, cache, many):
        objective = Changes(Config())
        texts = [*many, ScoredText((SENTENCES[0],), (3.0,))]
        rows = packed(texts, cache, objective, length=8)
        made = [list(objective.documents(t, np.random.default_rng((0, i)))) for i, t in enumerate(texts)]
        for component in (-1, 1):
            expected, _ = stream([d for of in made for d in of if d.meta.get("component", -1) == component])
            own = [rows[int(i)].ids for i in np.flatnonzero(rows.components == component)]
            assert np.array_equal(np.concatenate(own), expected[: len(own) * 8])
            assert len(expected) - len(own) * 8 < 8
        assert rows.counts.dropped == sum(not of for of in made)

    def test_draws_depend_on_seed_and_place_alone(self, cache, many, monkeypatch):
        first = packed(many, cache, Changes(Config()), length=8)
        monkeypatch.setattr(packing, "CHUNK", 100)
        again = packed(many, cache / "other", Changes(Config()), length=8)
        assert len(again) == len(first)
        assert sorted(map(bytes, _rows(again))) == sorted(map(bytes, _rows(first)))
        other = packed(many, cache, Changes(Config()), seed=1, length=8)
        assert other.folder != first.folder
        assert sorted(map(bytes, _rows(other))) != sorted(map(bytes, _rows(first)))

    def test_skipped_documents_are_not_asked_about(self, cache, many):
        objective = Asked(Config())
        lengths = [len(stream([text])[0]) for text in many]
        before = int(np.searchsorted(np.cumsum(lengths), 400))
        rows = packed(many, cache, objective, length=8, skip_tokens=400)
        assert objective.about == many[before:]  # the last of the skipped may be trained on in part
        assert rows.counts.skipped == before + 1
        assert np.array_equal(joined(rows, "ids"), joined(packed(many, cache, length=8, skip_tokens=400), "ids"))

    def test_a_document_that_is_changed_is_not_begun_in_its_middle(self, cache, many):
        lengths = np.cumsum([len(stream([text])[0]) for text in many])
        assert 400 not in lengths
        rows = packed(many, cache, Shouts(Config()), length=8, skip_tokens=400)
        rest = [text for text, end in zip(many, lengths, strict=True) if end > 400][1:]
        shouted, _ = stream([ScoredText((text.text.upper(),), (0.0,)) for text in rest])
        assert np.array_equal(joined(rows, "ids"), shouted[: len(rows) * 8])

    def test_an_objective_that_drops_everything(self, cache, many):
        with pytest.raises(DataError, match="Drops dropped all 60 documents"):
            packed(many, cache, Drops(Config()), length=8)
        assert not [path for path in cache.iterdir() if path.is_dir()]


def _rows(rows: Rows) -> list[np.ndarray]:
    return [rows[i].ids for i in range(len(rows))]


class TestCache:
    def test_rows_are_made_once(self, cache, many, monkeypatch):
        first = packed(many, cache, length=16)
        monkeypatch.setattr(packing, "_fill", None)
        assert packed(many, cache, length=16).folder == first.folder
        assert packed(many, cache, seed=5, length=16).folder == first.folder  # next-token prediction draws nothing

    @pytest.mark.parametrize(
        "given",
        [{"length": 17}, {"separator": "\n"}, {"limit": 3}, {"special_scores": "none"}, {"boundaries": "document"}],
    )
    def test_other_settings_are_other_rows(self, cache, many, given):
        assert packed(many, cache, **{"length": 16, **given}).folder != packed(many, cache, length=16).folder

    def test_another_corpus_or_tokenizer_are_other_rows(self, cache, many, tmp_path):
        paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
        write_documents(paths[0], many)
        write_documents(paths[1], many[1:])
        folders = set()
        for path in (*paths, paths[0]):
            folders.add(packed(document_source(str(path)), cache, length=16).folder)
        assert len(folders) == 2
        other = pack(
            [document_source(str(paths[0]))],
            MLE_OBJECTIVE,
            tokenizer("metaspace"),
            PackSettings(length=16),
            seed=0,
            cache=cache,
        )
        assert other.folder not in folders

    def test_a_stop_half_way_leaves_nothing_and_the_next_run_clears_up(self, cache, many, monkeypatch):
        def stops():
            yield Document("line 1", many[0], True)
            raise KeyboardInterrupt

        broken = replace(source(many), read=stops)
        with pytest.raises(KeyboardInterrupt):
            packed(broken, cache, length=16)
        (lock,) = cache.iterdir()
        (cache / f".{lock.stem}.0000.part").mkdir()  # as a killed process leaves it
        assert len(packed(many, cache, length=16)) > 0
        assert sorted(path.name for path in cache.iterdir()) == sorted([lock.stem, lock.name])

    def test_damaged_rows_are_refused(self, cache, many):
        rows = packed(many, cache, length=16)
        with (rows.folder / "ids.bin").open("ab") as file:
            file.write(b"x")
        with pytest.raises(DataError, match=r"does not hold the rows of a corpus: ids\.bin has"):
            packed(many, cache, length=16)

    @pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
    def test_two_do_not_make_the_same_at_once(self, tmp_path):
        inside = threading.Event()

        def enter():
            with alone(tmp_path / "rows"):
                inside.set()

        other = threading.Thread(target=enter)
        with alone(tmp_path / "rows"):
            other.start()
            assert not inside.wait(0.3)
        other.join(20)
        assert inside.is_set()


class TestBadInput:
    def test_documents_without_scores(self, cache, many):
        with pytest.raises(DataError, match="set, line 1: the document has no scores"):
            packed(source(many, scores=False), cache, Changes(Config()), length=8)
        assert len(packed(source(many, scores=False), cache, length=8))

    def test_empty_documents_are_counted_and_told(self, cache, many, caplog):
        empty = ScoredText((" \n",), (0.0,))
        with caplog.at_level(logging.WARNING):
            rows = packed([many[0], empty, empty, *many], cache, length=8)
        assert rows.counts.empty == 2
        assert [record.getMessage() for record in caplog.records] == [
            "Empty documents are left out; the first is set, line 2."
        ]

    def test_too_little_text(self, cache, many):
        with pytest.raises(DataError, match=r"1 documents, 0 of them empty\), less than one row of 1024"):
            packed(many[:1], cache)
        with pytest.raises(DataError, match="are to be skipped; the corpus has"):
            packed(many[:1], cache, skip_tokens=4096)
        with pytest.raises(DataError, match="gives 0 tokens"):
            packed([], cache)

    @pytest.mark.parametrize(
        "given", [{"packing": "documents", "skip_tokens": 8}, {"skip_tokens": 8, "drop_remainder_per_buffer": 9}]
    )
    def test_settings_that_contradict_each_other(self, given):
        with pytest.raises(ConfigError, match="skip_tokens"):
            build(PackSettings, given)


@pytest.mark.slow
def test_several_processes_make_the_same_rows(cache, many, monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 500)
    alone_made = packed(many, cache, length=8)
    together = packed(many, cache / "other", length=8, processes=2)
    assert np.array_equal(joined(together, "ids"), joined(alone_made, "ids"))
