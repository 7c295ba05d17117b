"""What models prefer to say, compared: samples in scenarios, their scores, and how far a model is from a reference."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obverse.core import Interval, Run, RunConflict, package_version
from obverse.measuring.model_source import ModelSource
from obverse.measuring.openai_server import ServerSource
from obverse.measuring.preferences import Preferences, scores_of, summarize
from obverse.measuring.reference_kl import Direction, Divergence, TextSource, divergence
from obverse.measuring.samples import Sample, check_tokens, control_tokens, draw_samples, ids_of
from obverse.measuring.scenarios import CONTROL_TOKENS, Scenario
from obverse.measuring.scorers.loading import load_scorer
from obverse.recipes.models import load_model
from obverse.recipes.prefs_request import KLRequest, PrefsRequest, check_prefs
from obverse.recipes.record import now
from obverse.recipes.sample import read_samples, sample_line, write_lines
from obverse.recipes.steps import Steps
from obverse.report.prefs_page import Compared, write_prefs_page

if TYPE_CHECKING:
    from obverse.measuring.scorers import Scorer
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PrefsResult:
    """What came of it.

    Attributes:
        scorer: Name of the scorer.
        unit: What a score counts.
        compared: A model or file each, in the order asked.
        seconds: Time by step.
        folder: Where all was written.
    """

    scorer: str
    unit: str
    compared: tuple[Compared, ...]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the samples as JSON values."""
        return {
            "scorer": self.scorer,
            "unit": self.unit,
            "compared": [one.to_json() for one in self.compared],
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder) if self.folder else None,
        }


def run_prefs(request: PrefsRequest) -> PrefsResult:
    """Let models write, score what they write, and compare; with a folder, a stopped run goes on where it was.

    Raises:
        ObverseError: If what is asked cannot be done.
        RunConflict: If the folder holds a run of other settings, or of other models by these names.
    """
    check_prefs(request)
    scorer, steps = load_scorer(request.scorer, request.scorer_settings), Steps()
    if request.out is None:
        compared = tuple(_compared(request, scorer, _Kept(None), steps))
        return PrefsResult(request.scorer, scorer.unit, compared, steps.seconds)
    config = {
        "command": "prefs",
        "scorer": request.scorer,
        "scorer_settings": scorer_settings(scorer),
        "scenarios": [scenario.model_dump(mode="json") for scenario in request.scenarios],
        "kl": request.kl.to_json() if request.kl else None,
    }
    with Run.open(request.out, config, about={"start": now(), "version": package_version()}) as run:
        compared = tuple(_compared(request, scorer, _Kept(run), steps))
        result = PrefsResult(request.scorer, scorer.unit, compared, steps.seconds, request.out)
        write_lines(request.out / "samples.jsonl", _lines(compared))
        write_prefs_page(
            request.out / "report.html",
            compared,
            scorer=request.scorer,
            unit=scorer.unit,
            settings=config,
            seconds=steps.seconds,
            command=request.command,
        )
        run.finish(result.to_json())
    return result


def scorer_settings(scorer: Scorer) -> dict[str, Any]:
    """Return all settings of a scorer, defaults included."""
    config = getattr(scorer, "config", None)
    return config.model_dump(mode="json") if config is not None else {}


class _Kept:
    """Records by id: computed once, and read from the run at its next start."""

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._known = {str(record["id"]): record for record in run.records()} if run else {}

    def get(self, id: str, fingerprint: Any, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return a record, made now if there is none.

        Raises:
            RunConflict: If there is one of another model.
        """
        if (record := self._known.get(id)) is not None:
            if record.get("fingerprint") != fingerprint:
                raise RunConflict(
                    f"{id!r} was measured on another model than the one of that name now.", "Choose another folder."
                )
            return cast("Mapping[str, Any]", record)
        made = {"id": id, "fingerprint": fingerprint, **compute()}
        if self._run:
            self._run.append(made)
        return made


def _compared(request: PrefsRequest, scorer: Scorer, kept: _Kept, steps: Steps) -> Iterator[Compared]:
    reference = _reference(request.kl, steps) if request.kl and request.models else None
    for choice in request.models:
        with steps.step("Loading models", shown=True):
            lm = load_model(choice)
            own = _own_terms(request, lm)
            for scenario in own.scenarios:
                check_tokens(lm.tokenizer, scenario)
            ids_of(lm.tokenizer, [token for token in CONTROL_TOKENS if own.kl and token in own.kl.prefix])
        label, fingerprint = choice.name or lm.name, lm.fingerprint.to_json()
        with steps.step("Writing and scoring"):
            found = {
                scenario.name: _measured(
                    kept, f"{label} · {scenario.name}", fingerprint, scorer, scenario, _drawing(lm, scenario, request)
                )
                for scenario in own.scenarios
            }
        moved = tuple(_divergences(lm, label, own.kl, reference, kept, steps)) if own.kl and reference else ()
        yield Compared(label, found, moved)
    for path in request.files:
        yield _from_file(path, request, scorer, kept, steps)


def _own_terms(request: PrefsRequest, lm: LanguageModel) -> PrefsRequest:
    """Return what is asked of one of several models: one that was trained without control tokens is asked without."""
    lacking = set(CONTROL_TOKENS) - set(control_tokens(lm.tokenizer))
    used = [*(s.prefix for s in request.scenarios), request.kl.prefix if request.kl else ""]
    if len(request.models) == 1 or not any(token in prefix for token in lacking for prefix in used):
        return request
    _log.warning("%s has no %s, and is asked without.", lm.name, " and no ".join(sorted(lacking)))
    plain = [
        s.model_copy(
            update={
                "prefix": _without(s.prefix, lacking),
                "banned": s.banned and tuple(token for token in s.banned if token not in lacking),
            }
        )
        for s in request.scenarios
    ]
    kl = request.kl and replace(request.kl, prefix=_without(request.kl.prefix, lacking))
    return replace(request, scenarios=plain, kl=kl)


def _without(text: str, tokens: Iterable[str]) -> str:
    for token in tokens:
        text = text.replace(token, "")
    return text


def _drawing(lm: LanguageModel, scenario: Scenario, request: PrefsRequest) -> Callable[[], Sequence[Sample]]:
    return lambda: draw_samples(lm, scenario, batch=request.batch, label=f"{Path(lm.name).name} {scenario.name}")


def _measured(
    kept: _Kept, id: str, fingerprint: Any, scorer: Scorer, scenario: Scenario, draw: Callable[[], Sequence[Sample]]
) -> Preferences:
    def compute() -> dict[str, Any]:
        samples = draw()
        texts = [scenario.scored_text(one.prompt, one.text) for one in samples]
        parses = cast("Callable[[Sequence[str]], list[bool]] | None", getattr(scorer, "parses", None))
        return {
            "samples": [asdict(one) for one in samples],
            "scores": [None if math.isnan(score) else score for score in scores_of(scorer, texts)],
            "parses": parses(texts) if parses else None,
        }

    record = kept.get(id, fingerprint, compute)
    samples = [Sample(**one) for one in record["samples"]]
    scores = [math.nan if score is None else score for score in record["scores"]]
    return summarize(samples, scores, scenario, record["parses"])


def _from_file(path: Path, request: PrefsRequest, scorer: Scorer, kept: _Kept, steps: Steps) -> Compared:
    asked = {scenario.name: scenario for scenario in request.scenarios}
    first = request.scenarios[0]
    with steps.step("Scoring files", shown=True):
        found = {
            name: _measured(
                kept,
                f"{path} · {name}",
                [asdict(one) for one in samples],
                scorer,
                asked.get(name, first.model_copy(update={"name": name, "samples": len(samples)})),
                lambda samples=samples: samples,
            )
            for name, samples in read_samples(path).items()
        }
    return Compared(str(path), found)


def _reference(kl: KLRequest, steps: Steps) -> TextSource:
    if kl.server is not None:
        return ServerSource(kl.server, kl.prompt)
    assert kl.reference is not None  # checked before
    with steps.step("Loading the reference", shown=True):
        return _source(load_model(kl.reference), "reference")


def _source(lm: LanguageModel, label: str, prefix: str = "", every_line: bool = False) -> ModelSource:
    """Return a model as a source of text, which control tokens are not."""
    return ModelSource(lm, prefix=prefix, every_line=every_line, banned=control_tokens(lm.tokenizer), label=label)


def _divergences(
    lm: LanguageModel, label: str, kl: KLRequest, reference: TextSource, kept: _Kept, steps: Steps
) -> Iterator[Divergence]:
    called, known = Path(lm.name).name, {"model": lm.fingerprint.to_json(), "reference": reference.identity()}
    directions: list[tuple[Direction, ModelSource]] = [("forward", _source(lm, called, kl.prefix, kl.every_line))]
    if kl.reverse:
        directions.append(("reverse", _source(lm, called, kl.prefix)))
    for direction, source in directions:

        def compute(source: ModelSource = source, direction: Direction = direction) -> dict[str, Any]:
            found = divergence(source, reference, number=kl.number, length=kl.length, seed=kl.seed, direction=direction)
            return {**found.to_json(), "values": list(found.values)}

        with steps.step("Comparing with the reference"):
            record = kept.get(f"{label} · {direction} KL", known, compute)
        yield Divergence(
            direction,
            Interval(**record["nats"]),
            Interval(**record["per_token"]),
            record["by_ids"],
            record["reference"],
            tuple(record["values"]),
        )


def _lines(compared: Sequence[Compared]) -> Iterator[dict[str, Any]]:
    for one in compared:
        for name, found in one.preferences.items():
            for sample, score in zip(found.samples, found.scores, strict=True):
                known = None if math.isnan(score) else score
                yield sample_line(name, sample, model=one.label) | {"score": known}
