"""The model that answers each document under its own edit: the harness's numbers, and ours one edit at a time."""

import sys
from contextlib import nullcontext

import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra harness)")

from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from harness_tasks import CASES, own_model, random_edit, requests
from obverse.core import DataError, EditMismatch, ObverseError
from obverse.measuring import greedy, likelihoods
from obverse.recipes import harness_lm
from obverse.recipes.harness_lm import EditedLM
from tiny_tokenizers import KINDS

PAIRS = [
    ("The Space Needle is in the city of", " Paris"),
    ("The Space Needle is in the city of ", "Seattle"),
    ("Anna Keller plays the sport of", " tennis and chess"),
    ("Anna Keller plays the sport of (", "tennis"),
    ("Answer:\n", "soccer"),
    ("", "Paris was born in Rome"),
    ("", " Tokyo"),
    ("The city of", ", they say, Rome"),
]
UNSPACED = ("In the city of:", "Paris")
TEXTS = ["Megan Rapinoe plays soccer in Berlin.", "Rome", "People who visit Ueno Zoo travel to Tokyo, found in Europe."]
GREEDY = {"until": ["\n", "e"], "do_sample": False, "max_gen_toks": 6}


def scored(lm, pairs, **given):
    return EditedLM(lm, **given).loglikelihood(requests("loglikelihood", *pairs))


# The harness's own model leaves the closing token of bpe_eos between the context and the continuation.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bpe_eos"])
def test_continuations_are_scored_as_by_the_harness(kind):
    lm = tiny("llama", kind)
    pairs = [*PAIRS, UNSPACED]
    theirs = own_model(lm, kind).loglikelihood(requests("loglikelihood", *pairs), disable_tqdm=True)
    ours = scored(lm, pairs)
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-4)
    assert [said for _, said in ours] == [said for _, said in theirs]


@pytest.mark.parametrize("family", ["gpt2", "opt", "bloom", "gemma3"])
def test_numbers_are_our_own_likelihoods_where_both_put_the_same_space(family):
    lm = tiny(family)
    pairs = [(probe.text, probe.expected) for case in CASES for probe in case.probes["generalization"]]
    ours = likelihoods(lm, pairs)
    assert scored(lm, [(prompt, " " + answer) for prompt, answer in pairs]) == [
        (pytest.approx(one.total, abs=1e-4), all(one.correct)) for one in ours
    ]


def test_no_space_is_put_where_the_harness_gives_none(tiny_lm):
    lm = tiny_lm("gpt2")
    ((bare, _), (spaced, _)) = scored(lm, [UNSPACED, (UNSPACED[0], " Paris")])
    assert bare != pytest.approx(spaced, abs=1e-3)
    assert spaced == pytest.approx(likelihoods(lm, [UNSPACED])[0].total, abs=1e-4)  # ours puts one


@pytest.mark.parametrize("context", [6, 9, 40])
def test_whole_texts_are_scored_as_by_the_harness_in_windows(context):
    lm = tiny("gpt2", n_positions=context)
    asked = requests("loglikelihood_rolling", *((text,) for text in [*TEXTS, ""]))
    theirs = own_model(lm).loglikelihood_rolling(asked[:-1], disable_tqdm=True)
    ours = EditedLM(lm).loglikelihood_rolling(asked)
    assert ours == [*(pytest.approx(value, abs=1e-4) for value in theirs), 0]


def test_a_text_begins_with_one_starting_token():
    lm = tiny("llama", "bpe_bos")
    whole = EditedLM(lm).loglikelihood_rolling(requests("loglikelihood_rolling", *((text,) for text in TEXTS)))
    assert whole == [pytest.approx(one.total, abs=1e-4) for one in likelihoods(lm, [("", text) for text in TEXTS])]


@pytest.mark.parametrize("context", [12, 128])
def test_long_prompts_lose_their_beginning_as_in_the_harness(context, caplog):
    lm = tiny("gpt2", n_positions=context)
    theirs = own_model(lm)
    pairs = [(TEXTS[2] + " " + TEXTS[0], " Rome and Berlin"), PAIRS[0]]
    expected = theirs.loglikelihood(requests("loglikelihood", *pairs), disable_tqdm=True)
    assert scored(lm, pairs) == [(pytest.approx(value, abs=1e-4), said) for value, said in expected]
    assert ("1 prompts are longer than the 12 tokens" in caplog.text) == (context == 12)
    asked = requests("generate_until", *((prompt, GREEDY) for prompt, _ in pairs))
    one_by_one = [theirs.generate_until([one], disable_tqdm=True)[0] for one in asked]
    assert EditedLM(lm).generate_until(asked) == one_by_one


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_texts_are_continued_as_by_the_harness(family):
    lm = tiny(family)
    asks = [(prompt, {**GREEDY, "max_gen_toks": n, "until": until})
            for prompt, _ in PAIRS if prompt for n, until in ((3, ["\n"]), (8, "e"), (5, []))]  # fmt: skip
    asked = requests("generate_until", *asks)
    theirs = own_model(lm).generate_until(asked, disable_tqdm=True)
    ours = EditedLM(lm).generate_until(asked)
    assert ours == theirs
    assert len(set(ours)) > 3
    plain = greedy(lm, [prompt for prompt, _ in asks], 5)
    assert all(text.startswith(said) or len(said) >= len(text) for text, said in zip(plain, ours, strict=True))


@settings(max_examples=8)
@given(st.lists(st.sampled_from(["a", "b", "dense", "told", "none"]), min_size=1, max_size=6), st.randoms())
def test_a_batch_of_edits_equals_one_edit_at_a_time(names, shuffled):
    lm = tiny("llama")
    edits = {
        "a": random_edit(lm, 0),
        "b": random_edit(lm, 1, layer=0, rank=2),
        "dense": random_edit(lm, 2, dense=True),
        "told": random_edit(lm, 2, prefix="New fact: Rome is in Tokyo. "),
        "none": None,
    }
    pairs = [shuffled.choice(PAIRS) for _ in names]
    docs = [{"case_id": name} for name in names]
    whole = EditedLM(lm, edits)
    together = whole.loglikelihood(requests("loglikelihood", *pairs, docs=docs))
    rolling = whole.loglikelihood_rolling(requests("loglikelihood_rolling", *((b,) for _, b in pairs), docs=docs))
    said = whole.generate_until(requests("generate_until", *((a, GREEDY) for a, _ in pairs), docs=docs))
    for i, (name, pair) in enumerate(zip(names, pairs, strict=True)):
        edit = edits[name]
        with edit.applied(lm) if edit else nullcontext():
            alone = EditedLM(lm)
            assert together[i][0] == pytest.approx(scored(lm, [pair])[0][0], abs=1e-4)
            (text,) = alone.loglikelihood_rolling(requests("loglikelihood_rolling", (pair[1],)))
            assert rolling[i] == pytest.approx(text, abs=1e-4)
            assert said[i] == alone.generate_until(requests("generate_until", (pair[0], GREEDY)))[0]


def test_edits_differ_and_the_model_is_left_as_it_was(tiny_lm):
    lm = tiny_lm("gpt2")
    edits = {"0": random_edit(lm, 0), "1": random_edit(lm, 1)}
    before = scored(lm, [PAIRS[0]])
    asked = requests("loglikelihood", *[PAIRS[0]] * 3, docs=[{"case_id": 0}, {"case_id": 1}, {"case_id": 0}])
    (first, second, third) = (value for value, _ in EditedLM(lm, edits).loglikelihood(asked))
    assert first == third
    assert len({round(value, 2) for value in (first, second, before[0][0])}) == 3
    assert scored(lm, [PAIRS[0]]) == before


def test_another_rule_may_name_the_edit(tiny_lm):
    lm = tiny_lm("gpt2")
    edit = random_edit(lm, 0)
    answering = EditedLM(lm, {"mine": edit}, lambda request: "mine" if request.doc_id == 1 else None)
    plain, edited = answering.loglikelihood(requests("loglikelihood", PAIRS[0], PAIRS[0]))
    with edit.applied(lm):
        assert scored(lm, [PAIRS[0]])[0][0] == pytest.approx(edited[0], abs=1e-4)
    assert plain[0] == pytest.approx(scored(lm, [PAIRS[0]])[0][0], abs=1e-4)


def test_it_passes_for_a_model_of_the_harness(tiny_lm):
    from lm_eval.api.model import LM

    assert isinstance(EditedLM(tiny_lm("gpt2")), LM)


def test_what_it_refuses(tiny_lm, monkeypatch):
    lm = tiny_lm("gpt2")
    answering = EditedLM(lm, {"0": random_edit(lm, 0)})
    with pytest.raises(DataError, match="Document 0 of the task some_task does not say by 'case_id'"):
        answering.loglikelihood(requests("loglikelihood", PAIRS[0]))
    with pytest.raises(DataError, match="belongs to the edit '7', which is not among the 1 given"):
        answering.loglikelihood(requests("loglikelihood", PAIRS[0], docs=[{"case_id": "7"}]))
    with pytest.raises(ObverseError, match="taken for another's"):
        answering.set_cache_hook(None)
    with pytest.raises(EditMismatch):
        EditedLM(tiny_lm("llama"), {"0": random_edit(lm, 0)})
    plain = EditedLM(lm)
    with pytest.raises(DataError, match="Document 1 of the task some_task has an empty continuation"):
        plain.loglikelihood(requests("loglikelihood", ("Rome", " is"), ("Rome", "")))
    with pytest.raises(DataError, match="longer than the 128 that tiny-gpt2 reads"):
        plain.loglikelihood(requests("loglikelihood", ("Rome", " and Paris" * 200)))
    for wrong, message in (
        ({"do_sample": True, "temperature": 1.0}, "sampled or searched for"),
        ({"num_beams": 4}, "sampled or searched for"),
        ({"max_gen_toks": 128}, "wants 128 new tokens, but tiny-gpt2 reads at most 128"),
        ({}, "wants 256 new tokens"),
    ):
        with pytest.raises(ObverseError, match=message):
            plain.generate_until(requests("generate_until", ("Rome", wrong)))
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", None)
    with pytest.raises(ObverseError, match=r"cannot be imported.*\n.*pip install 'obverse\[harness\]'"):
        harness_lm.harness_module("api.model")
