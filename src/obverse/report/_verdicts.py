"""Five questions about an edit, each answered by a word and a sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from obverse.core import Kind
from obverse.report._format import Found, data, of, percent, plain, quote
from obverse.verifying import Drift, Report

SCALE = (
    "“Yes” means all of the questions, “mostly” at least three in four, “partly” at least one in four, “hardly” fewer."
)


class Verdict(NamedTuple):
    """A question in plain words, the answer in a word (two where ways of asking disagree), and sentences in HTML."""

    question: str
    word: str
    text: str


def verdicts(report: Report, found: Found) -> list[Verdict]:
    """Answer the five questions."""
    one = report.cases[0].case.fact if len(report.cases) == 1 else None
    new = quote(one.target) if one else "the new answer"
    old = (quote(one.target_true) if one.target_true else "") if one else "the old answer"
    subject = quote(one.subject) if one else "the subject"
    after = f"after {new} than after {old}" if old else f"after {new}"
    return [
        _gained(report, found, "efficacy", "Does it say the new answer?", _than(new, old)),
        _gained(report, found, "generalization", "In other words too?", _than(new, old)),
        _kept(report, found, f"their own answer likelier than {new}"),
        _gained(report, found, "reverse", "Does it hold in reverse?", f"{subject} is likelier {after}"),
        _moved(report.drift),
    ]


def level(share: float) -> str:
    """Return a share in a word; see `SCALE`."""
    steps = ((1, "yes"), (0.75, "mostly"), (0.25, "partly"), (1e-12, "hardly"))
    return next((word for least, word in steps if share >= least), "no")


def _than(new: str, old: str) -> str:
    return f"{new} is likelier than {old}" if old else f"{new} is what it writes"


def _gained(report: Report, found: Found, kind: Kind, question: str, claim: str) -> Verdict:
    before, after = report.answers(kind, after=False), report.answers(kind)
    if not after:
        return Verdict(question, "not asked", "No such questions are known for this fact.")
    compared = [a for a in after if a.success is not None]
    wins, wrote = sum(bool(a.success) for a in compared), sum(a.exact for a in after)
    written = f"Written by the model itself: {of(wrote, len(after))} (before {sum(a.exact for a in before):,})."
    words = [level(wrote / len(after))]
    text = written
    if compared:
        won = sum(bool(a.success) for a in before)
        share = found[kind, "success", True]
        bounds = f"; 95 % interval {percent(share.low)} to {percent(share.high)}" if share.n > 1 else ""
        text = f"{claim[0].upper()}{claim[1:]}: {of(wins, len(compared))} (before {won:,}{bounds}). {written}"
        words.insert(0, level(wins / len(compared)))
    return Verdict(question, _word(words), f"{text} {_probability(found, kind)}")


def _kept(report: Report, found: Found, claim: str) -> Verdict:
    question = "Did related facts stay?"
    before, after = report.answers("specificity", after=False), report.answers("specificity")
    if not after:
        return Verdict(question, "not asked", "No neighbouring facts are known for this fact.")
    ahead = [new for old, new in zip(before, after, strict=True) if old.success]
    wrote = [new for old, new in zip(before, after, strict=True) if old.exact]
    still, writes = sum(bool(a.success) for a in ahead), sum(a.exact for a in wrote)
    text = (
        f"Before the edit, {of(len(ahead), len(after))} related facts had {claim}; {of(still, len(ahead))} still have. "
        f"Answers the model wrote by itself before and still writes: {of(writes, len(wrote))}."
    )
    words = [level(n / len(known)) for n, known in ((still, ahead), (writes, wrote)) if known]
    return Verdict(question, _word(words) if words else "unknown", f"{text} {_probability(found, 'specificity')}")


def _moved(drift: Drift | None) -> Verdict:
    question = "What else moved?"
    if drift is None:
        return Verdict(question, "not measured", "Neutral text was not read before and after this edit.")
    ratio = drift.perplexity_after / drift.perplexity_before - 1
    size = abs(ratio)
    word = (
        "very little" if size < 0.01 and drift.kl < 0.01 else "a little" if size < 0.05 and drift.kl < 0.1 else "a lot"
    )
    text = (
        f"On {drift.tokens:,} tokens of neutral text, perplexity went from {data(drift.perplexity_before, plain)} to "
        f"{data(drift.perplexity_after, plain)} ({'+' if ratio > 0 else ''}{percent(ratio)}), and the predictions "
        f"moved by {data(drift.kl, plain)} nats a token."
    )
    return Verdict(question, word, text)


def _probability(found: Found, kind: Kind) -> str:
    old, new = (found[kind, "probability", after] for after in (False, True))
    whose = "Its probability" if new.n == 1 else "The expected answers' mean probability"
    return f"{whose} went from {data(old.mean)} to {data(new.mean)}{f' (n = {new.n:,})' if new.n > 1 else ''}."


def _word(words: Sequence[str]) -> str:
    if len(set(words)) == 1:
        return words[0]
    return f"{words[0]} by probability, {words[1]} in its own words"


def card(verdict: Verdict) -> str:
    """Return a verdict as HTML."""
    sign = {"y": "✓", "m": "✓", "n": "✗", "v": "✓"}.get(verdict.word[0], "•")
    sign = "•" if verdict.word in ("not asked", "not measured") or " by probability" in verdict.word else sign
    return (
        f"<section class=card><h3>{escape(verdict.question)}</h3><p class=word><span aria-hidden=true>{sign}</span> "
        f"{escape(verdict.word[0].upper() + verdict.word[1:])}</p><p>{verdict.text}</p></section>"
    )
