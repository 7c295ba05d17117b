"""How much of a fact does a model know? Probability, rank, likeliest answers, right against wrong, both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from obverse.core import Case, Fact
from obverse.data.relations import case_for
from obverse.measuring import TopToken, top_tokens
from obverse.verifying.probes import Answer
from obverse.verifying.probes import ask as ask_probes

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model makes of a fact, or of a bare prompt.

    Attributes:
        prompt: The question, subject filled in.
        top: The likeliest next tokens, likeliest first.
        case: The fact with its probes; None for a bare prompt.
        answers: The answers to the probes, by kind.
    """

    prompt: str
    top: tuple[TopToken, ...]
    case: Case | None = None
    answers: tuple[Answer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "prompt": self.prompt,
            "fact": asdict(self.case.fact) if self.case else None,
            "top": [asdict(token) for token in self.top],
            "answers": [_answer(answer) for answer in self.answers],
        }

    def __str__(self) -> str:
        """Return the likeliest next tokens and one line a probe."""
        likeliest = ", ".join(f"{token.text.strip()} {token.probability:.1%}" for token in self.top)
        lines = [f"{self.prompt} → {likeliest}"]
        for answer in self.answers:
            against = "" if answer.alternative is None else f", against {answer.alternative:.2%}"
            lines.append(
                f"  {answer.kind}: {answer.probe.text} → {answer.probe.expected}: "
                f"{answer.probability:.2%}{against}, rank {answer.rank}"
            )
        return "\n".join(lines)


def ask(lm: LanguageModel, fact: Fact | Case, k: int = 5) -> Asked:
    """Ask a model about one fact.

    Args:
        lm: The model.
        fact: The fact, whose ``target`` is the answer asked for and ``target_true``, if given, the one it is compared
            with; or a case with its own probes. For a fact of a known relation the probes are made.
        k: How many of the likeliest next tokens to return.
    """
    return ask_all(lm, [fact], k)[0]


def ask_all(lm: LanguageModel, facts: Sequence[Fact | Case], k: int = 5) -> list[Asked]:
    """Ask a model about many facts, in batches; see `ask`."""
    cases = [case_for(fact) if isinstance(fact, Fact) else fact for fact in facts]
    answers = ask_probes(lm, cases, "asking")
    return [
        Asked(case.fact.text, tuple(top_tokens(lm, case.fact.text, k)), case, found)
        for case, found in zip(cases, answers, strict=True)
    ]


def ask_prompt(lm: LanguageModel, prompt: str, k: int = 5) -> Asked:
    """Return the likeliest next tokens after a prompt."""
    return Asked(prompt, tuple(top_tokens(lm, prompt, k)))


def _answer(answer: Answer) -> dict[str, Any]:
    fields = asdict(answer)
    probe = fields.pop("probe")
    right, wrong = answer.probability, answer.alternative
    return {
        **probe,
        **fields,
        "success": answer.success,
        "magnitude": answer.magnitude,
        "logprob_per_token": math.log(right) if right else None,
        "alternative_logprob_per_token": math.log(wrong) if wrong else None,
    }
