"""Score a corpus segment by segment: ``obverse score``.

::

    out/run.json, records.00000.jsonl     what was asked, and a line a chunk
    out/documents/000000.jsonl            the documents of a chunk, scored: what the trainer reads
    out/failed.jsonl                      those that could not be scored, with the reason
    out/summary.json                      counts and quantiles
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from obverse.core import DataError, JsonValue, ObverseError, Progress, Run, file_hash, package_version, write_whole
from obverse.data.scored import ScoredText
from obverse.data.scored_files import Document, DocumentSource, document_source, write_documents
from obverse.data.segments import Split, segments
from obverse.measuring.scorers.loading import load_scorer
from obverse.model.fingerprint import remembered_file_hash
from obverse.recipes.cluster import check_ray
from obverse.recipes.guarded import Failure, GuardedScorer, Outcome
from obverse.recipes.record import now
from obverse.recipes.score_summary import ScoreSummary, summarize
from obverse.recipes.score_work import Work, on_ray, on_threads

CHUNK = 500_000
"""Characters of a chunk: the unit that is lost when a run is killed."""

MOST = 1000
"""Documents of a chunk at most."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What is asked of `run_score`.

    Attributes:
        corpus: What to score, as `document_source` takes it.
        scorer: A scorer's name, ``package.module:Class`` or ``path/file.py:Class``.
        out: Folder for the result; one of an earlier, stopped run goes on.
        settings: Settings of the scorer.
        split: How documents are cut. By default those that come in segments keep them, and the scorer says how others
            are cut.
        format: Of the documents' files.
        workers: Processes that score; on Ray as in `obverse.recipes.cluster.plan`.
        ray: A cluster's address, or ``local``.
        gpus_per_worker: GPUs of each worker on Ray.
        limit: How many documents at most.
        timeout: Seconds for a document, after which it has failed; None for no limit.
        resume: Whether to go on with an earlier run.
        replace: Whether to delete an earlier run.
    """

    corpus: str
    scorer: str
    out: Path
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    split: Split | None = None
    format: Literal["jsonl", "parquet"] = "jsonl"
    workers: int | None = None
    ray: str | None = None
    gpus_per_worker: float | None = None
    limit: int | None = None
    timeout: float | None = 60.0
    resume: bool = True
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """What came of it.

    Attributes:
        out: The folder; a trainer takes it as a corpus.
        summary: Counts and quantiles.
        resumed: Whether a part had been done before.
    """

    out: Path
    summary: ScoreSummary
    resumed: bool

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"out": str(self.out), "resumed": self.resumed, **self.summary.to_json()}


class Chunk(NamedTuple):
    """Documents that are scored and written together."""

    id: str
    documents: list[Document]
    empty: int


def run_score(request: ScoreRequest) -> ScoreResult:
    """Score the segments of a corpus, and write the documents with their scores.

    Raises:
        UnknownName: If there is no such corpus or scorer.
        ConfigError: If a setting of the scorer is wrong.
        DataError: If a record of the corpus is malformed, or there is no document.
        RunConflict: If the folder holds a run with other settings.
        ObverseError: If no document could be scored, or the folder cannot be written.
    """
    check_ray(request.ray)
    source = document_source(request.corpus)
    scorer = load_scorer(request.scorer, request.settings)
    about: dict[str, JsonValue] = {"obverse": package_version(), "started": now(), "unit": scorer.unit}
    with Run.open(
        request.out, _config(request, source), about=about, resume=request.resume, replace=request.replace
    ) as run:
        done = run.done()
        cut = partial(_cut, split=request.split, usual=scorer.segments)
        todo = (chunk for chunk in _chunks(source, request.limit, cut) if chunk.id not in done)
        _work(request, todo, run)
        counts = _counts(run)
        if not counts["documents"]:
            raise DataError(f"{request.corpus} holds no document with text in it.", "Name another corpus.")
        _write_failed(run)
        if not counts["scored"]:
            raise ObverseError(
                f"The scorer failed on all {counts['documents']:,} documents, as with: {_first_failure(run)}",
                f"They are in {run.folder / 'failed.jsonl'}; mend the scorer, and begin anew with --overwrite.",
            )
        summary = summarize(counts, scorer.unit, lambda: document_source(str(run.folder)).read())
        run.finish(summary.to_json())
    return ScoreResult(request.out, summary, bool(done))


def _config(request: ScoreRequest, source: DocumentSource) -> JsonValue:
    """Return everything that the scores depend on."""
    place = Path(request.scorer.rpartition(":")[0])
    return {
        "corpus": [source.identity, *map(remembered_file_hash, source.files)],
        "scorer": request.scorer,
        "scorer_file": file_hash(place) if place.suffix == ".py" else None,
        "settings": dict(request.settings),
        "split": request.split,
        "format": request.format,
        "limit": request.limit,
        "chunk": [CHUNK, MOST],
    }


def _cut(document: Document, split: Split | None, usual: str) -> Document:
    if split is None and len(document.text.segments) > 1:
        return document
    how = split or usual
    assert how in ("sentences", "lines", "none"), how
    pieces = segments(document.text.text, how)
    return document._replace(text=ScoredText(pieces, (0.0,) * len(pieces), document.text.meta), scored=False)


def _chunks(source: DocumentSource, limit: int | None, cut: Any) -> Iterator[Chunk]:
    """Yield the corpus in chunks, the same at every run."""
    number, documents, size, empty = 0, list[Document](), 0, 0
    for document in itertools.islice(source.read(), limit):
        if document.empty:
            empty += 1
            continue
        documents.append(cut(document))
        size += sum(map(len, documents[-1].text.segments))
        if size >= CHUNK or len(documents) >= MOST:
            yield Chunk(f"{number:06d}", documents, empty)
            number, documents, size, empty = number + 1, [], 0, 0
    if documents or empty:
        yield Chunk(f"{number:06d}", documents, empty)


def _work(request: ScoreRequest, todo: Iterator[Chunk], run: Run) -> None:
    place, colon, attribute = request.scorer.rpartition(":")
    name = f"{Path(place).resolve()}{colon}{attribute}" if place.endswith(".py") else request.scorer
    make = partial(GuardedScorer, name, dict(request.settings), request.timeout)
    jobs = (Work(chunk, [document.text.segments for document in chunk.documents]) for chunk in todo)
    if request.ray is None:
        results = on_threads(jobs, make, request.workers or 1)
    else:
        results = on_ray(jobs, make, request.ray, request.workers, request.gpus_per_worker)
    scored, failed = 0, 0
    with Progress("Scoring") as progress:
        for chunk, outcomes in results:
            record = _written(run.folder, chunk, outcomes, request.format)
            run.append(record)
            scored, failed = scored + int(record["scored"]), failed + len(record["failed"])
            progress.advance(1, f"{scored:,} documents" + (f", {failed:,} failed" if failed else ""))


def _written(folder: Path, chunk: Chunk, outcomes: list[Outcome], format: str) -> dict[str, Any]:
    """Write the documents of a chunk; return its record."""
    good, failed = list[ScoredText](), list[JsonValue]()
    for (place, text, _), outcome in zip(chunk.documents, outcomes, strict=True):
        if isinstance(outcome, Failure):
            why: dict[str, JsonValue] = {"place": place, "kind": outcome.kind, "reason": outcome.reason}
            failed.append({"texts": list(text.segments), "meta": dict(text.meta), "failure": why})
        else:
            good.append(ScoredText(text.segments, outcome, text.meta))
    if good:
        write_documents(folder / "documents" / f"{chunk.id}.{format}", good)
    scores = [score for text in good for score in text.scores]
    return {
        "id": chunk.id,
        "scored": len(good),
        "empty": chunk.empty,
        "segments": len(scores),
        "hits": sum(score > 0 for score in scores),
        "characters": sum(len(segment) for text in good for segment in text.segments),
        "failed": failed,
    }


def _counts(run: Run) -> dict[str, Any]:
    counts, kinds = Counter[str](), Counter[str]()
    for record in run.records():
        for key in ("scored", "empty", "segments", "hits", "characters"):
            counts[key] += int(record[key])  # pyright: ignore[reportArgumentType] (as `_written` made it)
        kinds.update(failure["failure"]["kind"] for failure in _failures(record))
    documents = counts["scored"] + kinds.total()
    return {key: counts[key] for key in ("scored", "empty", "segments", "hits", "characters")} | {
        "documents": documents, "failed": dict(sorted(kinds.items()))
    }  # fmt: skip


def _failures(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return record["failed"]


def _first_failure(run: Run) -> str:
    return next(f["failure"]["reason"] for record in run.records() for f in _failures(record))


def _write_failed(run: Run) -> None:
    path = run.folder / "failed.jsonl"
    lines = [json.dumps(f, ensure_ascii=False) + "\n" for record in run.records() for f in _failures(record)]
    if lines:
        write_whole(path, lambda part: part.write_text("".join(lines), "utf-8"))
    else:
        path.unlink(missing_ok=True)
