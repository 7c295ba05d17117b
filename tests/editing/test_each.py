"""Many independent edits side by side: each is what editing its fact alone on the fresh model gives, in any order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_editors import TEXTS, random, spread
from families import tiny
from obverse.core import Case, DataError, EditFailed, Fact, build, reporting
from obverse.data import case_for
from obverse.editing import _passes, editors, values
from obverse.editing._passes import divided
from obverse.editing._rows import look
from obverse.editing._surprise import surprise
from obverse.editing.alphaedit import projected_answers, projected_answers_each
from obverse.editing.edit import LowRank
from obverse.editing.emmet import exact_answers, exact_answers_each
from obverse.editing.memit import ridge_answers, ridge_answers_each
from obverse.editing.values import optimize
from obverse.model import tensor_hash

FACTS = (  # of unequal length, all within the window of the families that slide one
    Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle"),
    Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer"),
    Fact("Anna Keller", "{} lives in", "Rome"),  # with the key of the second: no matter to edits of their own
)
EDITORS = {
    "rome": {"layers": [0, 1]},
    "rome, no KL": {"layers": [1], "kl_factor": 0.0},
    "memit": {"layers": [0, 1]},
    "emmet": {"layers": [0, 1], "ridge": 0.1},
    "alphaedit": {"layers": [0, 1]},
    "rome-both": {"layers": [0, 1]},
    "rome-both, joint": {"layers": [1], "order": "joint"},
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBVERSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def editor(name, **changes):
    kind, _, _ = name.partition(",")
    gentle = {"learning_rate": 0.1, "clamp": 4.0, "steps": 3, "contexts": {"texts": TEXTS}}
    moment = {"moment": {"corpus": __file__, "tokens": 300}}
    missing = {"missing": "skip"} if kind == "rome-both" else {}
    config = {**gentle, **moment, **missing, **EDITORS[name], **changes}
    return editors.load(kind)(build(editors.load(kind).config_type, config))


def assert_same(found, wanted):
    assert (found.facts, found.method, found.config) == (wanted.facts, wanted.method, wanted.config)
    assert found.deltas.keys() == wanted.deltas.keys()
    for name, delta in wanted.deltas.items():
        expected = delta.dense()
        assert isinstance(found.deltas[name], LowRank)
        assert float((found.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-4
        assert found.weights[name] == wanted.weights[name]
    for name, keys in wanted.keys.items():
        torch.testing.assert_close(found.keys[name], keys, rtol=1e-4, atol=1e-5)
    for one, other in zip(found.details, wanted.details, strict=True):
        assert one.keys() == other.keys()
        assert one.get("evaluations") == other.get("evaluations")
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "opt", "gemma3"])
@pytest.mark.parametrize("name", EDITORS)
def test_side_by_side_equals_one_at_a_time(name, family, tiny_lm):
    lm = tiny_lm(family)
    before = {key: tensor_hash(value) for key, value in lm.model.state_dict().items()}
    made = editor(name)
    each = made.edit_each(lm, FACTS)
    assert {key: tensor_hash(value) for key, value in lm.model.state_dict().items()} == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())
    for found, fact in zip(each, FACTS, strict=True):
        assert_same(found, made.edit(lm, [fact]))


@pytest.mark.parametrize("name", ["rome", "memit", "emmet", "alphaedit", "rome-both"])
def test_facts_that_stop_early_do_not_disturb_the_others(name, tiny_lm):
    lm = tiny_lm("gpt2")
    two, eight = ([edit.details[0]["loss"] for edit in editor(name, steps=n).edit_each(lm, FACTS)] for n in (2, 8))
    lowest = two.index(min(two))
    made = editor(name, steps=8, stop_loss=(two[lowest] + eight[lowest]) / 2)  # below where any of them starts
    each = made.edit_each(lm, FACTS)
    assert len({edit.details[0]["evaluations"] for edit in each}) > 1
    for found, fact in zip(each, FACTS, strict=True):
        assert_same(found, made.edit(lm, [fact]))


@pytest.mark.parametrize("name", EDITORS)
@settings(max_examples=2)
@given(order=st.permutations(range(len(FACTS))), count=st.integers(1, 3))
def test_order_and_company_change_nothing(name, tiny_lm, order, count):
    lm, made, order = tiny_lm("llama"), editor(name, steps=3), order[:count]
    whole = made.edit_each(lm, FACTS)
    for found, i in zip(made.edit_each(lm, [FACTS[i] for i in order]), order, strict=True):
        assert_same(found, whole[i])


@pytest.mark.parametrize("name", ["memit", "emmet", "alphaedit"])
def test_how_many_are_optimized_at_once_changes_nothing(name, tiny_lm):
    lm = tiny_lm("llama")
    for found, wanted in zip(
        editor(name, at_once=2).edit_each(lm, FACTS), editor(name, at_once=1).edit_each(lm, FACTS), strict=True
    ):
        assert {**found.config, "at_once": 1} == wanted.config
        for module, delta in wanted.deltas.items():
            expected = delta.dense()
            assert float((found.deltas[module].dense() - expected).norm() / expected.norm()) < 1e-4


@pytest.mark.parametrize("limits", [{"LOGITS": 1}, {"PASS": 0}])
def test_how_facts_are_divided_into_passes_changes_nothing(limits, tiny_lm, monkeypatch):
    lm, config = tiny_lm("gemma3"), editor("rome").config
    together = optimize(lm, 1, look(lm, 1, FACTS, ("{}", *TEXTS)), config)
    passes, own = [], values._losses
    monkeypatch.setattr(values, "_losses", lambda lm, one, *rest: passes.append(one.facts) or own(lm, one, *rest))
    for name, value in limits.items():
        monkeypatch.setattr(_passes, name, value)
    divided = optimize(lm, 1, look(lm, 1, FACTS, ("{}", *TEXTS)), config)
    assert len(set(passes)) > 1
    for one, other in zip(together, divided, strict=True):
        assert float((one.target - other.target).norm() / one.target.norm()) < 1e-4


def test_what_is_another_row_s_state_or_not_asked_for_is_not_run(tiny_lm):
    # "Anna Keller is a" begins as "Anna Keller plays ..." does; of "The Space Needle ..." that is not so.
    lm = tiny_lm("llama")
    looked = look(lm, 1, FACTS[:2], ("{}", *TEXTS))
    count = lambda fact, essence: len(divided(looked, [fact], lambda value: value, essence)[0].values)  # noqa: E731
    assert [count(0, True), count(0, False), count(1, True), count(1, False)] == [4, 3, 3, 3]
    assert looked.initial.shape[0] == len(divided(looked, [0, 1], lambda value: value, True)[0].reference)


def test_reverses_are_each_case_s_own_and_skipped_where_unknown(tiny_lm):
    lm, strange = tiny_lm("llama"), Fact("Anna Keller", "{} has a cat called", "Tom")
    cases = [case_for(FACTS[0]), Case.of(strange), Case.of(strange, reverse=("{} is the cat of",))]
    made = editor("rome-both")
    each = made.edit_each_case(lm, cases)
    assert [[detail["direction"] for detail in edit.details] for edit in each] == [
        ["forward"] * 2 + ["reverse"] * 2, ["forward"] * 2, ["forward"] * 2 + ["reverse"] * 2,
    ]  # fmt: skip
    assert each[2].details[-1]["prompt"] == "Tom is the cat of"
    for found, case in zip(each, cases, strict=True):
        assert_same(found, made.edit_cases(lm, [case]))
    with pytest.raises(DataError, match="has a cat called"):
        editor("rome-both", missing="refuse").edit_each_case(lm, cases)


@pytest.mark.parametrize("name", EDITORS)
def test_no_facts_are_no_edits_and_a_failure_is_told(name, tiny_lm):
    lm = tiny_lm("llama")
    assert editor(name).edit_each(lm, []) == []
    broken = tiny("llama")
    broken.model.get_submodule("model.layers.2.mlp.down_proj").weight[0, 0] = float("nan")
    with pytest.raises(EditFailed, match="nan"):
        editor(name, moment={"corpus": __file__, "tokens": 20}).edit_each(broken, FACTS)
    assert not any(module._forward_hooks for module in broken.model.modules())


class Labels:
    """Keeps the labels of progress bars."""

    def __init__(self):
        self.seen = []

    def start(self, label, total):
        self.seen.append(label)
        return 0

    def advance(self, handle, amount, note):
        pass

    def finish(self, handle):
        pass


def test_progress_is_shown(tiny_lm):
    with reporting(labels := Labels()):
        editor("rome").edit_each(tiny_lm("llama"), FACTS)
    assert "optimizing 3 facts side by side" in labels.seen


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 5), weight=st.floats(1e-3, 1e2), identity=st.booleans())
def test_closed_forms_of_each_key_alone(seed, facts, weight, identity):
    keys, c = random(seed, facts, 8), spread(seed, 8)
    kept = torch.linalg.qr(random(seed + 1, 8, 3)).Q
    alone = lambda solution: torch.cat([solution(key[None]) for key in keys], 1)  # noqa: E731
    same = lambda found, wanted: torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)  # noqa: E731
    same(ridge_answers_each(keys, c, weight), alone(lambda key: ridge_answers(key, c, weight)))
    same(projected_answers_each(keys, kept, weight), alone(lambda key: projected_answers(key, key[:0], kept, weight)))
    used = None if identity else c
    same(exact_answers_each(keys, used, weight), alone(lambda key: exact_answers(key, used, weight)))


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), asked=st.integers(0, 4), kept=st.integers(0, 3), scale=st.floats(0.1, 30))
def test_surprise_is_what_autograd_gives(seed, asked, kept, scale):
    # Also where the softmax is all but one word.
    logits = (scale * random(seed, asked + kept, 11)).requires_grad_()
    targets = torch.randint(11, (asked,), generator=torch.Generator().manual_seed(seed))
    reference, weights = random(seed + 1, kept, 11).log_softmax(-1), random(seed + 2, asked + kept)
    found = torch.cat(surprise(logits, targets, reference))
    log = logits.log_softmax(-1)
    nll = -log[:asked].gather(1, targets[:, None])[:, 0]
    wanted = torch.cat([nll, (log[asked:].exp() * (log[asked:] - reference)).sum(-1)])
    torch.testing.assert_close(found, wanted)
    slopes = [torch.autograd.grad((weights * one).sum(), logits)[0] for one in (found, wanted)]
    torch.testing.assert_close(*slopes)
