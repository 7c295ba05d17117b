"""Asking: what is written and scored depends on the model and the question alone."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from obverse.core import ConfigError, DataError, UnknownName
from obverse.data.reversal import Prompt
from obverse.measuring.generation import continuations, end_tokens, greedy
from obverse.measuring.likelihood import likelihoods
from obverse.measuring.reversal import Answer, LeftToRight, evaluate_prompts, other_answers, random_answers
from obverse.model.tokens import encode

NAMES = ("Anna Keller", "Megan Rapinoe", "Steve Jobs", "Marie Curie", "Angela Merkel")
DEEDS = ("plays chess", "was born in Rome", "travels to Paris", "speaks German", "visited the Prado")


def questions(reverse=False):
    """Ask two wordings of each person; template 0 and 1."""
    pairs = [(d, n) if reverse else (n, d) for n, d in zip(NAMES, DEEDS, strict=True)]
    forms = ("{}", "It is said of {} that")
    return [
        Prompt(form.format(asked), f" {told}", i, t)
        for t, form in enumerate(forms)
        for i, (asked, told) in enumerate(pairs)
    ]


def slowly(lm, ids, new_tokens, stop=lambda ids: False):
    """Continue one row without a cache, a pass a token."""
    written = []
    while len(written) < new_tokens:
        token = int(lm.model(input_ids=torch.tensor([[*ids, *written]])).logits[0, -1].argmax())
        if token in end_tokens(lm):
            break
        written.append(token)
        if stop(written):
            break
    return written


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "bloom"])
@pytest.mark.parametrize("shrink", [True, False])
def test_rows_that_end_leave_the_others_as_they_are(tiny_lm, family, shrink):
    lm = tiny_lm(family)
    rows = [list(encode(lm.tokenizer, row.prompt).ids) for row in questions()]

    def stop(ids):
        return ids[-1] % 5 == 0 or sum(ids) % 7 == 0

    found = continuations(lm, rows, 12, stop=stop, shrink=shrink)
    assert found == [slowly(lm, row, 12, stop) for row in rows]
    assert len({len(row) for row in found}) > 3


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("as_document", [True, False])
def test_answers_do_not_depend_on_the_batch(tiny_lm, family, as_document):
    rows = questions()
    whole = evaluate_prompts(LeftToRight(tiny_lm(family), as_document=as_document), rows, new_tokens=8)
    for batch in (1, 3):
        query = LeftToRight(tiny_lm(family), batch=batch, as_document=as_document)
        again = evaluate_prompts(query, rows[::-1], new_tokens=8)[::-1]
        assert [a.completion for a in again] == [a.completion for a in whole]
        assert [a.logprob for a in again] == pytest.approx([a.logprob for a in whole], abs=1e-4)
    assert len({a.completion for a in whole}) > 3


def test_what_is_written_is_greedy_and_scores_are_by_offsets(tiny_lm):
    lm, rows = tiny_lm("llama"), questions()
    found = evaluate_prompts(lm, rows, new_tokens=8, one_line=False)
    assert [a.completion for a in found] == greedy(lm, [row.prompt for row in rows], 8)
    assert [a.logprob for a in found] == [
        one.total for one in likelihoods(lm, [(r.prompt, r.completion) for r in rows])
    ]
    begun = evaluate_prompts(LeftToRight(lm, as_document=True), rows, write=False)
    start = lm.tokenizer.eos_token
    by_hand = likelihoods(lm, [(start + row.prompt, row.completion) for row in rows])
    assert [a.logprob for a in begun] == pytest.approx([one.total for one in by_hand], abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_teacher_forcing_says_whether_an_answer_would_be_written(tiny_lm, family):
    lm, checked = tiny_lm(family), {True: 0, False: 0}
    rows = [row.prompt for row in questions()] + [f"{n} and {m}" for n in NAMES for m in NAMES]
    own = {prompt: slowly(lm, encode(lm.tokenizer, prompt).ids, 3) for prompt in rows}
    for prompt, ids in own.items():
        before = list(encode(lm.tokenizer, prompt).ids)
        for other in [ids, *own.values()][:12]:
            text = lm.decode(other)
            if text.strip() and text[0] == " " and list(encode(lm.tokenizer, prompt + text).ids) == [*before, *other]:
                (scored,) = LeftToRight(lm).score([(prompt, text)])
                assert scored.greedy == (ids[: len(other)] == other)
                checked[scored.greedy] += 1
    assert min(checked.values()) > 3


def test_one_line_is_cut_at_its_end_and_nothing_before(tiny_lm):
    lm = tiny("llama")
    line = encode(lm.tokenizer, "\n").ids[0]
    lm.model.lm_head.weight[line] = 0
    long = evaluate_prompts(lm, questions(), new_tokens=20, one_line=False)
    states = torch.zeros(32)
    with torch.no_grad():  # some states now like a line break best
        for one in long[:6]:
            ids = encode(lm.tokenizer, one.prompt.prompt).ids
            states += lm.model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        lm.model.lm_head.weight[line] = states / 4
    long = evaluate_prompts(lm, questions(), new_tokens=20, one_line=False, score=False)
    short = evaluate_prompts(lm, questions(), new_tokens=20, score=False)
    cut = [a for a, b in zip(short, long, strict=True) if a.completion != b.completion]
    assert cut
    for one, whole in zip(short, long, strict=True):
        assert whole.completion.startswith(one.completion)
        assert "\n" not in one.completion.lstrip()
        if one.completion != whole.completion:
            assert whole.completion[len(one.completion)] == "\n"
        assert one.verdicts["prefix"] == whole.verdicts["prefix"]


def test_equal_questions_are_asked_once(tiny_lm):
    class Counting(LeftToRight):
        asked = 0

        def score(self, pairs, *, label=""):
            self.asked = len(pairs)
            return super().score(pairs, label=label)

    query, rows = Counting(tiny_lm("llama")), questions()
    twice = evaluate_prompts(query, [*rows, *rows], negatives=[row.completion for row in [*rows, *rows]], new_tokens=3)
    assert query.asked == len(rows)
    assert twice[: len(rows)] == twice[len(rows) :]
    assert all(a.gap == 0 for a in twice)


def test_what_an_answer_holds(tiny_lm):
    lm, rows = tiny_lm("llama"), questions(reverse=True)
    wrong, choices = random_answers(rows, np.random.default_rng(0)), other_answers(rows, np.random.default_rng(1))
    found = evaluate_prompts(lm, rows, negatives=wrong, choices=choices, trained=NAMES, new_tokens=4, run="seed 1")
    scores = likelihoods(lm, [(row.prompt, text) for row, text in zip(rows, wrong, strict=True)])
    best = [
        max([row.completion, *some], key=lambda text, row=row: likelihoods(lm, [(row.prompt, text)])[0].total)
        for row, some in zip(rows, choices, strict=True)
    ]
    for row, one, score, text in zip(rows, found, scores, best, strict=True):
        assert one.random_logprob == pytest.approx(score.total, abs=1e-4)
        assert one.gap == one.logprob - one.random_logprob
        assert one.verdicts["choice"] == (text == row.completion)
        assert one.unit == ("seed 1", str(row.entity))
        assert set(one.verdicts) == {"prefix", "contains", "char_bleu", "exact", "f1", "rouge1", "trained", "greedy",
                                     "choice"}  # fmt: skip
        assert Answer.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert 0 < sum(one.verdicts["choice"] for one in found) < len(found)


@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans())
@settings(max_examples=30)
def test_other_answers_are_others_and_of_the_same_wording(seed, n, reverse):
    rows = [Prompt(r.prompt, f"{r.completion} ({r.template})", r.entity, r.template) for r in questions(reverse)]
    found = other_answers(rows, np.random.default_rng(seed), n)
    assert found == other_answers(rows, np.random.default_rng(seed), n)
    for row, some in zip(rows, found, strict=True):
        assert len(set(some)) == n
        assert row.completion not in some
        assert all(text.endswith(f"({row.template})") for text in some)


def test_a_person_nobody_knows_is_told_by_the_answer():
    rows = [Prompt(f"{i}", " Orla  Fennick." if i % 2 else " orla fennick") for i in range(4)]
    assert {Answer(row, None, 0.0, 1, None, {}).unit for row in rows} == {("", "orla fennick")}
    with pytest.raises(DataError, match="fewer"):
        random_answers(rows, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("rows", "given", "error", "message"),
    [
        ([], {}, DataError, "no questions"),
        ([Prompt("Who?", "  ")], {}, DataError, "Row 1 has a blank answer.*\n.*match whatever"),
        ([Prompt("Who?", " I"), Prompt("\n", " I")], {}, DataError, "Row 2 has a blank question"),
        ([Prompt("Who?", " I")], {"negatives": []}, DataError, "0 random answers for 1 question"),
        ([Prompt("Who?", " I")], {"negatives": [" "]}, DataError, "random answer or a choice is blank"),
        ([Prompt("Who?", " I")], {"choices": [["you"], []]}, DataError, "2 lists of choices for 1 question"),
        ([Prompt("Who?", " I")], {"score": False, "write": False}, ConfigError, "Neither"),
        ([Prompt("Who?", " I")], {"score": False, "negatives": ["you"]}, ConfigError, "compared by their scores"),
        ([Prompt("Who?", " I")], {"metrics": ["prefixes"]}, UnknownName, "prefixes"),
        ([Prompt("Who plays? " * 60, " I")], {}, DataError, "tokens long, .* for tiny-llama, which reads 128"),
        ([Prompt("Who plays?", " I do" * 60)], {"write": False}, DataError, "tokens long, .* which reads 128"),
    ],
)
def test_what_cannot_be_asked(tiny_lm, rows, given, error, message):
    with pytest.raises(error, match=message):
        evaluate_prompts(tiny_lm("llama"), rows, **given)


def test_an_answer_ends_where_the_model_reads_no_more(tiny_lm):
    lm = tiny_lm("gpt2")  # 128 positions
    near = "Anna Keller plays the sport of tennis. " * 10
    while len(encode(lm.tokenizer, near).ids) < 124:
        near += "chess "
    rows = [Prompt(near.strip(), " I"), *questions()]
    room = 128 - len(encode(lm.tokenizer, near.strip()).ids)
    found = evaluate_prompts(lm, rows, new_tokens=12, one_line=False, score=False)
    assert found[0].completion == greedy(lm, [rows[0].prompt], room)[0]
    assert [a.completion for a in found[1:]] == greedy(lm, [row.prompt for row in rows[1:]], 12)
