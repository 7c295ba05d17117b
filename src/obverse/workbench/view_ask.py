"""What the tab Ask shows: likeliest answers as bars, then every question with what each model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from obverse.recipes.measure import Asked
from obverse.report._format import KIND_NAMES, data, line, plain
from obverse.report.charts import bars
from obverse.verifying.probes import Answer
from obverse.workbench.asking import AskedBoth
from obverse.workbench.fragments import framed, sheet


def asked_page(found: Sequence[AskedBoth]) -> str:
    """Return what models answer, forward and reverse side by side, a section a model; then question by question."""
    several = len(found) > 1
    asked = [one for one in found if one.forward.answers]
    questions = "" if not asked else _side_by_side(asked) if several else _probes(asked[0].forward.answers)
    return framed(*(_model(one, several) for one in found), questions)


def _model(one: AskedBoth, named: bool) -> str:
    fact = one.forward.case.fact if one.forward.case else None
    marks = [(fact.target, "asked for")] if fact else []
    marks += [(fact.target_true, "compared with")] if fact and fact.target_true else []
    cards = [_card("Forward", one.forward, marks)]
    cards += [_card("Reverse", asked, [(fact.subject, "asked for")] if fact else []) for asked in one.reverse]
    if fact and not one.reverse:
        cards.append(
            "<section class=card><h3>Reverse</h3><p>No reverse question is known for this fact. Write one under More, "
            "with {} for the answer.</p></section>"
        )
    heading = f"<h2>{escape(one.model)}</h2>" if named else ""
    return heading + f'<div class="cards wide">{"".join(cards)}</div>'


def _card(title: str, asked: Asked, marks: Sequence[tuple[str, str]]) -> str:
    drawn = bars([(token.text, token.probability) for token in asked.top], marks)
    return f"<section class=card><h3>{title}: {line(asked.prompt)} …</h3>{drawn}</section>"


def _probes(answers: Sequence[Answer]) -> str:
    rows = [
        (
            _question(answer),
            f"<b>{data(answer.probability)}</b>",
            data(answer.alternative) if answer.alternative is not None else "",
            data(answer.rank, plain),
            line(answer.generated),
        )
        for answer in answers
    ]
    text = (
        "Probability of the answer per token, and of the one it is compared with; rank of its first token among all "
        "tokens; what the model writes by itself."
    )
    return sheet("Question by question", ("Question", "Probability", "Compared", "Rank", "It writes"), rows, text)


def _side_by_side(found: Sequence[AskedBoth]) -> str:
    """Return every question with a column for each model."""
    rows = [
        (_question(answers[0]), *(_cell(answer) for answer in answers))
        for answers in zip(*(one.forward.answers for one in found), strict=True)
    ]
    text = "Probability of the answer per token; rank of its first token among all tokens; what the model writes."
    return sheet("Question by question", ("Question", *(one.model for one in found)), rows, text)


def _question(answer: Answer) -> str:
    return (
        f"{escape(answer.probe.text)} <b>{escape(answer.probe.expected)}</b><br>"
        f"<small>{KIND_NAMES[answer.kind]}</small>"
    )


def _cell(answer: Answer) -> str:
    return (
        f"<b>{data(answer.probability)}</b> rank {data(answer.rank, plain)}<br><small>{line(answer.generated)}</small>"
    )
