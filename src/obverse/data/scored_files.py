"""Corpora to train on, read document by document: files, folders, hub data sets; and written with their scores."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from obverse.core import DataError, UnknownName, write_whole
from obverse.data.corpus import NAMES, corpus
from obverse.data.scored import ScoredText
from obverse.data.scored_records import Document, document_of

_HUB = re.compile(
    r"(?P<id>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?:@(?P<revision>[\w.-]+))?(?::(?P<split>[\w.-]+))?"
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """Where documents come from.

    Attributes:
        name: As the user named it.
        files: The files that are read, in order; none for a hub data set or a corpus that comes with the package.
        identity: What the documents depend on besides the bytes of the files.
        read: Begins anew. Documents that are empty are among them.
    """

    name: str
    files: tuple[Path, ...]
    identity: str
    read: Callable[[], Iterator[Document]]


def document_source(name: str) -> DocumentSource:
    """Find documents by name.

    Args:
        name: A file (``.jsonl``, ``.jsonl.gz``, ``.parquet``; ``.txt``, documents separated by blank lines; ``.py`` or
            ``.md``, a document), a folder of such files, what ``obverse score`` wrote, a corpus that comes with the
            package (``docstrings``, ``facts``, ``mixed``), or a hub data set, streamed:
            ``owner/name[/config][@revision][:split]``.

    Raises:
        UnknownName: If there is no such file, folder or data set.
        DataError: If a folder holds no file of a known kind. Reading raises it for a malformed record, with its place.
    """
    path = Path(name)
    if path.is_dir():
        folder = path / "documents" if (path / "run.json").is_file() and (path / "documents").is_dir() else path
        files = tuple(sorted(file for file in folder.rglob("*") if _reader(file) and not _hidden(file, folder)))
        if not files:
            raise DataError(f"{path} holds no file of documents.", _ENDINGS)
        return _of_files(name, files, folder)
    if path.is_file():
        if not _reader(path):
            raise DataError(f"{path.name} ends in {path.suffix!r}, which is no format for documents.", _ENDINGS)
        return _of_files(name, (path,), path.parent)
    if name in NAMES:
        found = corpus(name)
        return DocumentSource(name, (), found.identity, lambda: _plain(name, "text", found.texts()))
    if (parts := _HUB.fullmatch(name)) and not path.suffix:
        return _of_hub(name, parts.groupdict())
    raise _missing(path)


def write_documents(path: Path, documents: Iterable[ScoredText]) -> None:
    """Write documents with their scores, whole or not at all.

    Args:
        path: Ends in ``.jsonl`` or ``.parquet``; the latter is made in memory.
        documents: What to write; reading the file gives equal ones.
    """
    records = (
        {"texts": list(text.segments), "scores": list(text.scores), "avg_score": text.average, "meta": dict(text.meta)}
        for text in documents
    )
    write_whole(path, lambda part: (_write_parquet if path.suffix == ".parquet" else _write_jsonl)(part, records))


def _of_files(name: str, files: tuple[Path, ...], folder: Path) -> DocumentSource:
    def read() -> Iterator[Document]:
        for file in files:
            reader = _reader(file)
            assert reader  # the files were chosen so
            yield from reader(file)

    return DocumentSource(name, files, json.dumps([str(file.relative_to(folder)) for file in files]), read)


def _of_hub(name: str, parts: Mapping[str, str | None]) -> DocumentSource:
    id = cast("str", parts["id"])

    def read() -> Iterator[Document]:
        import datasets  # pyright: ignore[reportMissingTypeStubs]

        library: Any = datasets  # it has no types
        try:
            records = library.load_dataset(
                id, parts["config"], split=parts["split"] or "train", revision=parts["revision"], streaming=True
            )
        except (OSError, ValueError) as error:
            raise UnknownName(
                f"The data set {id} cannot be read: {error}", "Check its name, or name a file."
            ) from error
        for number, record in enumerate(records, start=1):
            yield document_of(f"{id}, record {number}", record)

    return DocumentSource(name, (), f"{name} {_commit(id, parts['revision'])}", read)


def _commit(id: str, revision: str | None) -> str:
    """Return the commit that a hub data set stands at; "" if the hub cannot be asked."""
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return huggingface_hub.HfApi().dataset_info(id, revision=revision).sha or ""
    except RepositoryNotFoundError as error:
        raise UnknownName(
            f"There is no file or folder {id}, nor a data set of that name on the hub.", "Check the name."
        ) from error
    except Exception:  # without a network it fails in the ways of whatever library sends the request
        return ""


def _missing(path: Path) -> UnknownName:
    folder = path.parent
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    near = get_close_matches(path.name, [*names, *NAMES], n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Name a file, a folder, or a hub data set: owner/name."
    return UnknownName(f"There is no file or folder {path}.", hint)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _jsonl(path: Path) -> Iterator[Document]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            record: object = _text_only(json.loads(line)) if _HALF.search(line) else json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{place}: not valid JSON ({error}).", "Write one whole record {...} on each line, in UTF-8."
            ) from error
        yield document_of(place, record)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            yield from lines
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: not a whole gzip file ({error}).", "Write or copy the file again.") from error


def _text_only(record: object) -> object:
    """Return a record without halves of surrogate pairs, which are no text: a replacement character stands for each."""
    text = json.dumps(record, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.loads(text)


def _parquet(path: Path) -> Iterator[Document]:
    import pyarrow  # pyright: ignore[reportMissingTypeStubs]
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    library: Any = pyarrow  # it has no types
    files: Any = parquet
    number = 0
    try:
        for batch in files.ParquetFile(path).iter_batches(256):
            for record in batch.to_pylist():
                number += 1
                yield document_of(f"{path.name}, record {number}", record)
    except library.ArrowException as error:
        raise DataError(f"{path.name}: not valid Parquet ({error}).", "Write or copy the file again.") from error


def _paragraphs(path: Path) -> Iterator[Document]:
    def texts() -> Iterator[str]:
        lines: list[str] = []
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.strip():
                    lines.append(line)
                elif lines:
                    yield "".join(lines).strip()
                    lines = []
        if lines:
            yield "".join(lines).strip()

    return _plain(path.name, "paragraph", texts())


def _whole(path: Path) -> Iterator[Document]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        yield Document(path.name, ScoredText((file.read(),), (0.0,), {"file": path.name}), False)


def _plain(name: str, what: str, texts: Iterable[str]) -> Iterator[Document]:
    for number, text in enumerate(texts, start=1):
        yield Document(f"{name}, {what} {number}", ScoredText((text,), (0.0,)), False)


_READERS: dict[str, Callable[[Path], Iterator[Document]]] = {
    ".jsonl": _jsonl, ".ndjson": _jsonl, ".jsonl.gz": _jsonl, ".parquet": _parquet, ".txt": _paragraphs,
    ".md": _whole, ".py": _whole,
}  # fmt: skip
_ENDINGS = f"Known endings: {', '.join(_READERS)}."


def _reader(path: Path) -> Callable[[Path], Iterator[Document]] | None:
    if not path.is_file():
        return None
    name = path.name.lower()
    return next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)


def _write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def _write_parquet(path: Path, records: Iterable[dict[str, Any]]) -> None:
    import pyarrow  # pyright: ignore[reportMissingTypeStubs]
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    library: Any = pyarrow
    files: Any = parquet
    texts, scores = library.list_(library.string()), library.list_(library.float64())
    schema = library.schema(
        {"texts": texts, "scores": scores, "avg_score": library.float64(), "meta": library.string()}.items()
    )
    rows = [{**record, "meta": json.dumps(record["meta"], ensure_ascii=False, default=str)} for record in records]
    files.write_table(library.Table.from_pylist(rows, schema=schema), path)
