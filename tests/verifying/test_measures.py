"""Measured in company is measured alone; the edits of a batch are those of the model edited for good."""

import pytest
import torch

from bench_facts import FACTS
from families import DENSE
from obverse.core import Case, Fact
from obverse.data._plain import plain_case
from obverse.editing import Dense, Edit, LowRank
from obverse.editing.rowwise import EachRow
from obverse.measuring import likelihoods
from obverse.measuring.divergence import next_token_kl, readings
from obverse.measuring.likelihood import unchanged
from obverse.model.fingerprint import tensor_hash
from obverse.verifying.measures import MeasureConfig, measure
from obverse.verifying.scores import METRICS, case_values, summarize

CASES = [plain_case(record, "0") for record in FACTS]
CONFIG = MeasureConfig(generation_tokens=20, drift_tokens=12)


def an_edit(lm, seed, *, dense=False, prefix="", layers=(1,)):
    draw = torch.Generator().manual_seed(seed)
    deltas = {}
    for layer in () if prefix else layers:
        name = lm.architecture.mlp_out(layer)
        left, right = (
            torch.randn(lm.architecture.hidden, 2, generator=draw),
            torch.randn(lm.architecture.inner, 2, generator=draw),
        )
        low = LowRank(0.3 * left, right)
        deltas[name] = Dense(low.dense()) if dense else low
    return Edit(
        deltas, (CASES[0].fact,), "test", {}, lm.fingerprint, lm.name,
        {name: tensor_hash(lm.weight_of(name)) for name in deltas}, lm.architecture.transposed, prefix=prefix,
    )  # fmt: skip


@pytest.mark.parametrize("family", sorted(DENSE))
def test_each_row_carries_its_own_edit(family, tiny_lm):
    lm = tiny_lm(family)
    edits = [an_edit(lm, 1), an_edit(lm, 2, layers=(0, 2)), an_edit(lm, 3, dense=True)]
    pairs = [("The Space Needle is in the city of", "Paris"), ("Ann plays", "chess")]
    variants = [0, 2, None, 1]
    asked = [(pair, v) for v in variants for pair in pairs]
    together = likelihoods(lm, [p for p, _ in asked], variants=[v for _, v in asked], around=EachRow(lm, edits).rows)
    for (pair, variant), found in zip(asked, together, strict=True):
        if variant is None:
            (alone,) = likelihoods(lm, [pair])
        else:
            with edits[variant].applied(lm):
                (alone,) = likelihoods(lm, [pair])
        assert found.total == pytest.approx(alone.total, abs=1e-4)
    assert len({round(found.total, 3) for found in together}) == len(asked)  # the edits tell apart


def test_a_batch_of_edits_is_measured_as_each_alone(tiny_lm):
    lm = tiny_lm("gpt2")
    edits = [an_edit(lm, 1), None, an_edit(lm, 2, dense=True), an_edit(lm, 3, prefix="Note: all is well.\n"),
             an_edit(lm, 4)]  # fmt: skip
    together = measure(lm, CASES, edits, CONFIG)
    for case, edit, found in zip(CASES, edits, together, strict=True):
        (alone,) = measure(lm, [case], [edit], CONFIG)
        assert case_values(found) == pytest.approx(case_values(alone), abs=1e-4)
        assert [a.generated for a in found.answers] == [a.generated for a in alone.answers]
        assert found.texts == alone.texts
        assert [a.probe for a in found.answers] == [p for probes in case.probes.values() for p in probes]


@pytest.mark.parametrize("change", [{}, {"dense": True}, {"prefix": "Note: all is well.\n"}])
def test_measured_is_what_the_edited_model_answers(tiny_lm, change):
    from obverse.verifying.probes import ask

    lm = tiny_lm("llama")
    edit = an_edit(lm, 5, **change)
    (found,) = measure(lm, CASES[:1], [edit], CONFIG)
    with edit.applied(lm):
        (answers,) = ask(lm, CASES[:1], tokens=None)
    for own, other in zip(found.answers, answers, strict=True):
        assert own.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert own.generated == other.generated


def test_one_edit_of_many_cases(tiny_lm):
    lm = tiny_lm("llama")
    edit = an_edit(lm, 1)
    together = measure(lm, CASES, [edit], CONFIG, of=[0] * len(CASES))
    apart = measure(lm, CASES, [edit] * len(CASES), CONFIG)
    for one, other in zip(together, apart, strict=True):
        assert case_values(one) == pytest.approx(case_values(other), abs=1e-4)


def test_the_unedited_model_does_not_diverge_from_itself(tiny_lm):
    values = [case_values(one) for one in measure(tiny_lm("llama"), CASES, [None] * len(CASES), CONFIG)]
    assert all(one[name] == 0 for one in values for name in ("neighbour_kl", "plus_kl", "drift_kl") if name in one)
    assert summarize(values).keys() - {"score", "accuracy_score"} <= METRICS.keys()


def test_divergence_is_that_of_the_distributions(tiny_lm):
    lm = tiny_lm("llama")
    edit = an_edit(lm, 1)
    text = "People who visit Ueno Zoo travel to"
    ids = torch.tensor([lm.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        before = lm.model(input_ids=ids).logits[0].log_softmax(-1)
        with edit.applied(lm):
            after = lm.model(input_ids=ids).logits[0].log_softmax(-1)
    expected = (before.exp() * (before - after)).sum(-1)
    around = EachRow(lm, [edit]).rows
    assert next_token_kl(lm, [(0, text, text)], around) == pytest.approx([float(expected[-1])], abs=1e-5)
    (reading,) = readings(lm, [0], [text], around)
    assert reading.kl == pytest.approx(float(expected[:-1].mean()), abs=1e-5)
    target = ids[0, 1:, None]
    assert reading.nll == pytest.approx(-float(after[:-1].gather(-1, target).mean()), abs=1e-5)


def test_readings_stop_at_the_limit(tiny_lm):
    lm = tiny_lm("llama")
    texts = ["The rain fell all day long.", "A bus came late, and all were glad."]
    size = len(lm.tokenizer(texts[0])["input_ids"])
    cut = readings(lm, [None], texts, unchanged, limit=size)
    assert cut == readings(lm, [None], texts[:1], unchanged)
    assert cut != readings(lm, [None], texts, unchanged)


def test_neighbours_are_asked_after_the_edited_statement(tiny_lm):
    lm = tiny_lm("llama")
    (found,) = measure(lm, CASES[2:3], [None], CONFIG)
    text = "Ann Keller plays chess and tennis. Bo plays"
    golf, chess = likelihoods(lm, [(text, "golf"), (text, "chess and tennis")])
    assert found.locality[0].plus == pytest.approx((golf.probability, chess.probability), abs=1e-6)


def test_attributes_are_recorded_and_not_summarised(tiny_lm):
    lm = tiny_lm("llama")
    case = Case("0", Fact("Ann", "{} plays", "chess", "golf"), attributes=("Garry Kasparov plays",))
    (found,) = measure(lm, [case], [None], CONFIG)
    (new,) = likelihoods(lm, [("Garry Kasparov plays", "chess")])
    assert found.attributes[0][0] == pytest.approx(new.probability, abs=1e-6)
    assert not [name for name in case_values(found) if "attribute" in name]
