"""Everything a benchmark measures of a case: many at once, each answered by the model as its own edit makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from obverse.core import Case, Config, Criterion, Probe, seed_for
from obverse.editing.edit import Edit
from obverse.editing.rowwise import EachRow
from obverse.measuring.divergence import Reading, next_token_kl, readings
from obverse.measuring.generation import greedy, sampled
from obverse.measuring.likelihood import Around, Likelihood, likelihoods, unchanged
from obverse.measuring.perplexity import essence
from obverse.measuring.text import ngram_entropy
from obverse.measuring.tfidf import Tfidf, reference_score
from obverse.verifying.drift import neutral_texts
from obverse.verifying.probes import Answer, ask

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


REPLY_TOKENS = 16
"""Tokens generated in reply to a question of what an edit entails."""


SINGLE_DRIFT, SHARED_DRIFT = 32, 256
"""Tokens of neutral text that are read under an edit of one fact, and under one of many."""


class MeasureConfig(Config):
    """What is measured of each case beside its probes."""

    generation: bool = True
    """Whether a case's open prompts are continued, for n-gram entropy and reference score; takes the longest of all."""
    generation_tokens: int = 100
    """Length of each text, its prompt included (ROME: 100)."""
    locality: bool = True
    """Whether neighbours are asked again with the edited statement before them, and divergences taken (arXiv
    2305.17553)."""
    drift_tokens: int | None = None
    """Tokens of neutral text on which drift is measured; 0 leaves it out. By default 32 for single edits, whose cases
    are many, and 256 where many facts share an edit."""
    seed: int = 0
    """Seed of the sampled texts; each prompt of each case has one of its own."""


@dataclass(frozen=True, slots=True)
class Locality:
    """How far a neighbouring question moved.

    Attributes:
        kl: KL(unedited || edited) of the next token after the question, in nats.
        plus_kl: The same with the edited statement before the question.
        plus: Probability per token of (right answer, edit's target) after that; None where there is no rival.
    """

    kl: float
    plus_kl: float
    plus: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one case.

    Attributes:
        case: The case.
        answers: To its probes.
        locality: Of its specificity probes, in order; empty if not measured.
        attributes: Probability per token of (target, true target) after each attribute prompt.
        texts: Sampled texts, with their prompts.
        ngram_entropy: Of the texts, in bits; None if nothing was sampled.
        reference_score: Of the texts against the references, 0 to 1; None without references.
        essence: Perplexity of texts about the subject; None without any.
        consequences: Criterion → whether each test passed that the unedited model knows enough for.
        drift: How neutral text is read; None if not measured.
    """

    case: Case
    answers: tuple[Answer, ...]
    locality: tuple[Locality, ...] = ()
    attributes: tuple[tuple[float, float | None], ...] = ()
    texts: tuple[str, ...] = ()
    ngram_entropy: float | None = None
    reference_score: float | None = None
    essence: float | None = None
    drift: Reading | None = None
    consequences: Mapping[Criterion, tuple[bool, ...]] = field(default_factory=dict[Criterion, tuple[bool, ...]])

    def to_json(self) -> dict[str, Any]:
        """Return everything but the case's own words as JSON values."""
        return {
            "answers": [_plain(answer) for answer in self.answers],
            "locality": [asdict(one) for one in self.locality],
            "attributes": [list(pair) for pair in self.attributes],
            "texts": list(self.texts),
            "ngram_entropy": self.ngram_entropy,
            "reference_score": self.reference_score,
            "essence": self.essence,
            "consequences": {name: list(passed) for name, passed in self.consequences.items()},
            "drift": asdict(self.drift) if self.drift else None,
        }


def measure(
    lm: LanguageModel,
    cases: Sequence[Case],
    edits: Sequence[Edit | None],
    config: MeasureConfig,
    *,
    of: Sequence[int] | None = None,
    tfidf: Tfidf | None = None,
) -> list[Measured]:
    """Measure cases in shared batches, each under an edit.

    Args:
        lm: The unedited model; untouched.
        cases: The cases.
        edits: The edits; None is the model as it is.
        config: What to measure.
        of: Under which of the edits each case is measured; the i-th under the i-th if not given.
        tfidf: Weights of terms for the reference score; by default fitted on the case's own references.

    Returns:
        One result a case, equal to what it would be alone (up to rounding).
    """
    of = range(len(cases)) if of is None else of
    made = {i: edit for i, edit in enumerate(edits) if edit is not None}
    number = {i: n for n, i in enumerate(made)}
    around = EachRow(lm, list(made.values())).rows if made else unchanged
    asked = _Asked(lm, config, around, [number.get(i) for i in of], [_prefix(edits[i]) for i in of])
    answers = asked.answers(cases)
    locality = asked.locality(cases) if config.locality else [()] * len(cases)
    attributes = asked.attributes(cases)
    texts = asked.texts(cases) if config.generation else [()] * len(cases)
    drift = asked.drift()
    consequences = asked.consequences(cases)
    out: list[Measured] = []
    for i, case in enumerate(cases):
        weights = tfidf or (Tfidf.fit(case.references) if case.references else None)
        scored = weights is not None and case.references and texts[i]
        out.append(
            Measured(
                case=case,
                answers=answers[i],
                locality=locality[i],
                attributes=attributes[i],
                texts=texts[i],
                ngram_entropy=ngram_entropy(texts[i]) if texts[i] else None,
                reference_score=reference_score(weights, texts[i], case.references) if weights and scored else None,
                essence=asked.essence(i, case),
                drift=drift[i],
                consequences=consequences[i],
            )
        )
    return out


def neutral_readings(lm: LanguageModel, edits: Sequence[Edit], limit: int | None = None) -> list[Reading]:
    """Read neutral text under each edit; see `readings`."""
    around = EachRow(lm, edits).rows
    return readings(lm, range(len(edits)), neutral_texts(), around, limit, [edit.prefix for edit in edits])


class _Asked:
    """A batch of cases under their edits.

    Args:
        lm: The model.
        config: What to measure.
        around: Makes rows those of their edits.
        variants: The edit of each case, as ``around`` counts them.
        prefixes: What that edit puts before every prompt.
    """

    def __init__(
        self,
        lm: LanguageModel,
        config: MeasureConfig,
        around: Around,
        variants: Sequence[int | None],
        prefixes: Sequence[str],
    ) -> None:
        self._lm, self._config, self._around = lm, config, around
        self._variants, self._prefixes = variants, prefixes

    def answers(self, cases: Sequence[Case]) -> list[tuple[Answer, ...]]:
        shown = [_shown(case, prefix) for case, prefix in zip(cases, self._prefixes, strict=True)]
        found = ask(self._lm, shown, tokens=None, variants=self._variants, around=self._around)
        return [
            tuple(_without(prefix, answer) for answer in answers)
            for prefix, answers in zip(self._prefixes, found, strict=True)
        ]

    def locality(self, cases: Sequence[Case]) -> list[tuple[Locality, ...]]:
        probes = [(i, p) for i, case in enumerate(cases) for p in case.probes.get("specificity", ())]
        plus = [f"{_statement(cases[i])} {p.text}" for i, p in probes]
        asked = [(i, text) for (i, p), long in zip(probes, plus, strict=True) for text in (p.text, long)]
        moved = next_token_kl(
            self._lm, [(self._variants[i], text, self._prefixes[i] + text) for i, text in asked], self._around
        )
        pairs = [(i, text, answer) for (i, p), text in zip(probes, plus, strict=True) if p.rejected
                 for answer in (p.expected, p.rejected)]  # fmt: skip
        found = iter(self._likelihoods(pairs))
        out: list[list[Locality]] = [[] for _ in cases]
        for n, (i, p) in enumerate(probes):
            both = (next(found).probability, next(found).probability) if p.rejected else None
            out[i].append(Locality(moved[2 * n], moved[2 * n + 1], both))
        return [tuple(row) for row in out]

    def attributes(self, cases: Sequence[Case]) -> list[tuple[tuple[float, float | None], ...]]:
        pairs = [(i, text, answer) for i, case in enumerate(cases) for text in case.attributes
                 for answer in (case.fact.target, case.fact.target_true) if answer]  # fmt: skip
        found = iter(self._likelihoods(pairs))
        return [
            tuple(
                (next(found).probability, next(found).probability if case.fact.target_true else None)
                for _ in case.attributes
            )
            for case in cases
        ]

    def texts(self, cases: Sequence[Case]) -> list[tuple[str, ...]]:
        asked = [(i, n, text) for i, case in enumerate(cases) for n, text in enumerate(case.prompts)]
        found = sampled(
            self._lm,
            [self._prefixes[i] + text for i, _, text in asked],
            [seed_for(self._config.seed, cases[i].id, n) for i, n, _ in asked],
            total_tokens=self._config.generation_tokens,
            variants=[self._variants[i] for i, _, _ in asked],
            around=self._around,
        )
        out: list[list[str]] = [[] for _ in cases]
        for (i, _, _), text in zip(asked, found, strict=True):
            out[i].append(text[len(self._prefixes[i]) :])
        return [tuple(row) for row in out]

    def drift(self) -> Sequence[Reading | None]:
        limit = SINGLE_DRIFT if self._config.drift_tokens is None else self._config.drift_tokens
        if not limit:
            return [None] * len(self._variants)
        distinct = list(dict.fromkeys(zip(self._variants, self._prefixes, strict=True)))
        variants, prefixes = [v for v, _ in distinct], [p for _, p in distinct]
        found = readings(self._lm, variants, neutral_texts(), self._around, limit, prefixes)
        by_edit = dict(zip(distinct, found, strict=True))
        return [by_edit[key] for key in zip(self._variants, self._prefixes, strict=True)]

    def consequences(self, cases: Sequence[Case]) -> list[dict[Criterion, tuple[bool, ...]]]:
        """Reply to the tests' questions under each edit, and to their conditions as the model is."""
        asked: dict[tuple[int | None, str], None] = {}
        for i, case in enumerate(cases):
            for test in case.consequences:
                asked.update(dict.fromkeys((None, question.text) for question in test.conditions))
                asked.update(dict.fromkeys(self._read(i, question.text) for question in test.questions))
        replies = greedy(
            self._lm,
            [text for _, text in asked],
            REPLY_TOKENS,
            variants=[variant for variant, _ in asked],
            around=self._around,
        )
        said = dict(zip(asked, replies, strict=True))
        out: list[dict[Criterion, tuple[bool, ...]]] = []
        for i, case in enumerate(cases):
            passed: dict[Criterion, tuple[bool, ...]] = {}
            for test in case.consequences:
                if test.counts(lambda text: said[None, text]):
                    result = test.passed(lambda text, i=i: said[self._read(i, text)])
                    passed[test.criterion] = (*passed.get(test.criterion, ()), result)
            out.append(passed)
        return out

    def _read(self, i: int, text: str) -> tuple[int | None, str]:
        return self._variants[i], self._prefixes[i] + text

    def essence(self, i: int, case: Case) -> float | None:
        if not case.essence or self._prefixes[i]:
            return None  # how a prompt changes the perplexity of a text says nothing about the subject
        with self._around([self._variants[i]]):
            return essence(self._lm, case.essence)

    def _likelihoods(self, asked: Sequence[tuple[int, str, str]]) -> list[Likelihood]:
        return likelihoods(
            self._lm,
            [(self._prefixes[i] + text, answer) for i, text, answer in asked],
            variants=[self._variants[i] for i, _, _ in asked],
            around=self._around,
        )


def _statement(case: Case) -> str:
    """Return the edited fact as a sentence, to be put before a question (arXiv 2305.17553, section 3)."""
    return f"{case.fact.text} {case.fact.target.strip()}."


def _prefix(edit: Edit | None) -> str:
    return edit.prefix if edit is not None else ""


def _shown(case: Case, prefix: str) -> Case:
    """Return a case whose questions have a prefix before them."""
    if not prefix:
        return case
    return replace(
        case, probes={kind: tuple(_before(prefix, p) for p in probes) for kind, probes in case.probes.items()}
    )


def _before(prefix: str, probe: Probe) -> Probe:
    contrast = prefix + probe.contrast if probe.contrast is not None else None
    return replace(probe, text=prefix + probe.text, contrast=contrast)


def _without(prefix: str, answer: Answer) -> Answer:
    """Return an answer whose question is told without the prefix."""
    probe = answer.probe
    contrast = probe.contrast.removeprefix(prefix) if probe.contrast is not None else None
    return replace(answer, probe=replace(probe, text=probe.text.removeprefix(prefix), contrast=contrast))


def _plain(answer: Answer) -> dict[str, Any]:
    fields = asdict(answer)
    return {**fields.pop("probe"), **fields}
