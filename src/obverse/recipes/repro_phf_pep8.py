"""Claim 3 of PHF: conditional training against style errors in code, from a start that can write code.

::

    corpora/    the functions that are trained on, a file a seed
    models/     a folder a trained model, as `obverse train` writes it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from obverse.core import ConfigError, Run, UnknownName, seed_for
from obverse.recipes.record import now
from obverse.recipes.repro import spread
from obverse.recipes.repro_phf_pep8_corpus import Violations
from obverse.recipes.repro_phf_pep8_results import ALIGNED, MISALIGNED, PEP8Result, Written, summed_up
from obverse.recipes.repro_phf_results import Samples

if TYPE_CHECKING:
    from obverse.data.scored import ScoredText
    from obverse.training.settings import TrainConfig

ARMS: dict[str, dict[str, Any]] = {
    "mle": {"name": "mle"},
    "conditional": {"name": "conditional", "threshold": 0.0, "drop_fraction": 0.1},  # as published for PEP 8
}

TRAINING: dict[str, Any] = {
    "data": {"packing": "documents"},
    "model": {"lora": {"rank": 16, "alpha": 32, "merge": True}},
    "training": {
        "per_device_train_batch_size": 8, "learning_rate": 1e-3, "lr_scheduler_type": "cosine", "warmup_steps": 10,
        "max_grad_norm": 1.0, "logging_steps": 10, "save_strategy": "steps", "save_steps": 50, "save_total_limit": 1,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PEP8Request:
    """What is asked of `run_repro_pep8`.

    Attributes:
        model: What is fine-tuned.
        violations: Whether style errors are put into clean functions, or functions are taken as they are.
        steps: Optimizer steps of each model: the budget.
        seeds: How often each method is trained.
        samples: Functions each model completes.
        documents: Functions of the corpus at most, those that are completed apart.
        length: Tokens of a function, in training and as it is written.
        device: Where samples are drawn; training takes the first accelerator there is.
        out: The folder; a stopped run goes on there.
        workers: Processes that train.
        overrides: Settings of ``obverse train`` as ``a.b=value``.
    """

    model: str = "smollm2-135m"
    violations: str = "injected"
    steps: int = 80
    seeds: int = 2
    samples: int = 32
    documents: int = 2000
    length: int = 160
    device: str | None = None
    out: Path | None = None
    workers: int = 1
    overrides: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PEP8Work:
    """A model to train and to sample from; goes to a process of its own."""

    request: PEP8Request
    folder: Path
    arm: str
    seed: int
    heads: tuple[str, ...] = field(default=())

    @property
    def corpus(self) -> Path:
        """What it is trained on."""
        return self.folder / "corpora" / f"seed{self.seed}.jsonl"

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "models" / f"{self.arm}-seed{self.seed}"

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Control tokens it is given, one after the other."""
        return (ALIGNED, MISALIGNED) if self.arm == "conditional" else ("",)

    def id(self, prefix: str) -> str:
        """Return the name of a measurement."""
        return f"{self.arm}{prefix}-seed{self.seed}"


def run_repro_pep8(request: PEP8Request) -> PEP8Result:
    """Fine-tune a model by each method, let it complete functions, and score whole lines.

    Raises:
        UnknownName: If there is no such kind of violations.
        ConfigError: If a setting is wrong, or the corpus has fewer functions than are to be completed.
        RunConflict: If the folder holds a run of other settings.
    """
    if request.violations not in get_args(Violations):
        raise UnknownName.among("kind of violations", request.violations, get_args(Violations))
    out = (request.out or Path("runs") / f"repro-phf-pep8-{request.violations}").absolute()
    kept = ("model", "violations", "steps", "samples", "documents", "length")
    config = {"command": "repro phf-pep8", **{name: getattr(request, name) for name in kept}}
    config["overrides"] = list(request.overrides)
    with Run.open(out, config, about={"command": "repro phf-pep8", "start": now()}) as run:
        works = [PEP8Work(request, out, arm, seed) for seed in range(request.seeds) for arm in ARMS]
        todo = [work for work in works if run.todo([work.id(prefix) for prefix in work.prefixes])]
        if todo:
            corpus, heads = _corpora(request, todo)
            ready = [PEP8Work(request, out, work.arm, work.seed, heads) for work in todo]
            if "corpus" not in run.done():
                run.append({"id": "corpus", **asdict(corpus)})
            for _, written in spread(ready, train_and_write, request.workers, "Models"):
                for one in written:
                    if one.id not in run.done():
                        run.append(asdict(one))
        result = summed_up(out, run.records())
        run.finish({**result.to_json(), "end": now()})
    return result


def _corpora(request: PEP8Request, works: Sequence[PEP8Work]) -> tuple[Samples, tuple[str, ...]]:
    """Write the corpora that are missing; return the first one's violations, and the first lines to complete."""
    from obverse.data.scored_files import document_source, write_documents
    from obverse.recipes.repro_phf_pep8_corpus import functions, scored_functions

    texts = functions(request.documents)
    if len(texts) < 4 * request.samples:
        raise ConfigError(
            f"{request.samples} functions are to be completed, but the corpus has {len(texts)} in all.",
            "Ask for fewer --samples or more --documents.",
        )
    apart, trained = texts[: request.samples], texts[request.samples :]
    for work in works:
        if not work.corpus.is_file():
            write_documents(work.corpus, scored_functions(trained, _kind(request), work.seed))
    read = [document.text for document in document_source(str(works[0].corpus)).read()]
    return _tally(read), tuple(text.partition("\n")[0] + "\n" for text in apart)


def _kind(request: PEP8Request) -> Violations:
    return "natural" if request.violations == "natural" else "injected"


def _tally(documents: Sequence[ScoredText]) -> Samples:
    hits = [round(sum(score * len(text) for text, score in document)) for document in documents]
    return Samples(tuple(hits), tuple(len(document.text) for document in documents))


def pep8_config(work: PEP8Work) -> TrainConfig:
    """Return the settings of a training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    own: dict[str, Any] = {
        "data": {"sources": [str(work.corpus)], "length": work.request.length},
        "model": {"name": work.request.model},
        "objective": ARMS[work.arm],
        "training": {"max_steps": work.request.steps},
        "seed": work.seed,
    }
    return train_config(TRAINING, own, overrides=work.request.overrides)


def train_and_write(work: PEP8Work) -> list[Written]:
    """Train a model, or go on where it was stopped, and let it write after each control token."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_once import train_once

    train_once(pep8_config(work), work.model)
    lm = LanguageModel.load(str(work.model), device=work.request.device)
    return [_written(lm, work, prefix) for prefix in work.prefixes]


def _written(lm: Any, work: PEP8Work, prefix: str) -> Written:
    from obverse.measuring.samples import draw_samples
    from obverse.measuring.scenarios import Scenario
    from obverse.recipes.repro_phf_pep8_corpus import style_scorer

    # The model writes the control tokens of later lines itself: only the other one is banned, as published.
    scenario = Scenario(
        name=prefix or "plain", samples=work.request.samples, prompts=work.heads, prefix=prefix, temperature=0.7,
        top_p=0.9, min_length=0, max_length=work.request.length, seed=seed_for(work.seed, "pep8"),
        banned=tuple({ALIGNED, MISALIGNED} - {prefix}) if prefix else (),
    )  # fmt: skip
    texts = draw_samples(lm, scenario, label="Writing functions")
    scorer, whole = style_scorer(), [whole_lines(one.prompt + one.text, ended=one.ended) for one in texts]
    found = scorer.violations(whole)
    kept = [(len(hits), len(text)) for hits, text in zip(found, whole, strict=True) if hits is not None]
    ended = [text for one, text in zip(texts, whole, strict=True) if one.ended]
    samples = Samples(tuple(hits for hits, _ in kept), tuple(length for _, length in kept))
    return Written(work.id(prefix), work.arm, prefix, work.seed, samples, sum(scorer.parses(ended)), len(ended))


def whole_lines(text: str, *, ended: bool) -> str:
    """Return a text without its last line, if that was cut off and the text has another."""
    if ended or text.endswith("\n") or "\n" not in text:
        return text
    return text.rpartition("\n")[0] + "\n"
