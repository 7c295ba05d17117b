"""Read quantized GGUF files: converted once to a float32 safetensors folder in the cache, loaded from there."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from obverse.core import ObverseError, Progress, UnsupportedModel, cache_dir, file_hash, storage_errors, whole_folder
from obverse.model._quiet import quiet
from obverse.model.fingerprint import remembered_file_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

CONVERSION = 1
"""Version of the conversion; folders made by another version are made anew."""

SOURCE = "source.json"
"""File in a converted folder that says what it was made from."""


def gguf_folder(path: Path, cache: Path | None = None) -> Path:
    """Return the converted folder of a GGUF file, converting it first if the cache does not hold it.

    Args:
        path: The GGUF file.
        cache: Cache folder; the user's by default.

    Raises:
        UnsupportedModel: If the file is not a GGUF file, is cut short, or holds a model that cannot be read.
        ObverseError: If the cache cannot be written.
    """
    check_gguf(path)
    digest = remembered_file_hash(path, cache)
    folder = (cache or cache_dir()) / "models" / f"gguf-{digest[:16]}"
    if not is_converted(folder, digest):
        with conversion_lock(folder):
            if not is_converted(folder, digest):
                convert(path, folder, digest)
    return folder


def is_converted(folder: Path, digest: str) -> bool:
    """Return whether the folder holds this version's conversion of the GGUF file with that SHA-256."""
    return _source(folder) == {"gguf": digest, "conversion": CONVERSION}


@contextmanager
def conversion_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time make a folder; the others wait.

    The system frees the lock of a process that died, so a lock file left behind blocks nobody.
    """
    place = folder.parent / f".{folder.name}.lock"
    with storage_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("Another process is preparing %s; waiting for it.", folder.name)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_gguf(path: Path) -> None:
    """Read a GGUF file's table of tensors and compare it with the file's length.

    Raises:
        UnsupportedModel: If there is no such file, it is of another format, or it is cut short.
    """
    import gguf

    if not path.is_file():
        raise UnsupportedModel(f"There is no file {path}.", "Give the path of a .gguf file.")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise UnsupportedModel(f"{path} is not a GGUF file: it begins with {magic!r}, not b'GGUF'.{_named(path)}")
    try:
        tensors = gguf.GGUFReader(path).tensors
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise UnsupportedModel(
            f"The GGUF file {path} is cut short or damaged: {error}.{_named(path)}", "Copy or download it again."
        ) from error
    if not tensors:
        raise UnsupportedModel(f"The GGUF file {path} holds no weights.{_named(path)}", "Choose a model's file.")


def convert(path: Path, folder: Path, digest: str, texts: tuple[Path, ...] = ()) -> None:
    """Write a GGUF file's model as float32 safetensors with its tokenizer. The caller holds the folder's lock.

    Args:
        path: The GGUF file.
        folder: Where the converted model will stand; an older conversion there is replaced.
        digest: SHA-256 of the GGUF file.
        texts: Licence files to put beside the model.

    Raises:
        UnsupportedModel: If the model in the file cannot be read.
        ObverseError: If the folder cannot be written.
    """
    log.info("Converting %s; this is done once.", path.name)
    for left in folder.parent.glob(f".{folder.name}.*.part"):  # of a process that died; nobody else holds the lock
        shutil.rmtree(left, ignore_errors=True)
    with whole_folder(folder, replace=True) as draft, Progress(f"Converting {path.name}", 3) as progress, quiet():
        model, tokenizer = _read(path, progress)
        try:
            model.save_pretrained(draft)
            tokenizer.save_pretrained(draft)
        except SafetensorError as error:  # its type for every fault of the disk
            if "No space left" not in str(error):
                raise
            raise ObverseError(
                f"No space left to write {folder}.", "Free some space, or set OBVERSE_CACHE to another disk."
            ) from error
        _note(draft / "tokenizer_config.json", padding_side=tokenizer.padding_side)
        _note(draft / SOURCE, gguf=digest, conversion=CONVERSION)
        for text in texts:
            (draft / text.name).write_bytes(text.read_bytes())
        mode = (draft / SOURCE).stat().st_mode
        for file in draft.iterdir():  # weights are written readable by their owner alone; a cache may be shared
            file.chmod(mode)
        progress.advance()


def converted_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer of a folder that `convert` made, three times as fast as the general road; None if another's.

    For Gemma's vocabulary of 262,144 that is 1 s rather than 3 s, most of the time a command takes to start.
    """
    if not _source(folder) or not (folder / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    for key in ("tokenizer_class", "backend", "is_local", "local_files_only"):
        settings.pop(key, None)
    template = folder / "chat_template.jinja"
    if template.is_file():
        settings["chat_template"] = template.read_text(encoding="utf-8")
    core = _Lent(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return PreTrainedTokenizerFast(tokenizer_object=core, name_or_path=str(folder), **settings)


class _Lent:
    """A value that is handed over where a copy is asked for; nobody else holds it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __deepcopy__(self, memo: dict[int, object]) -> object:
        return self._value


def _read(path: Path, progress: Progress) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with TemporaryDirectory(prefix="obverse-") as alone:  # files beside the GGUF must not be taken for parts of it
        link = Path(alone) / path.name
        try:
            link.symlink_to(path.resolve())
        except OSError:  # systems where links need a privilege
            link = path.resolve()
        place = {"pretrained_model_name_or_path": str(link.parent), "gguf_file": link.name}
        try:
            with redirect_stderr(StringIO()):  # its bar has no switch
                model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
            progress.advance()
            tokenizer = AutoTokenizer.from_pretrained(**place)
            progress.advance()
        except Exception as error:  # the reader has no error type of its own: whatever it says, the file is at fault
            raise UnsupportedModel(
                f"The model in {path} cannot be read: {error}.{_named(path)}",
                "Only decoder language models that transformers can read from GGUF are supported.",
            ) from error
    delattr(model.config, "quantization_config")  # plain float32 now; the writer refuses a model said to be quantized
    for key, value in {"is_quantized": False, "hf_quantizer": None}.items():
        setattr(model, key, value)
    return model, tokenizer


def _named(path: Path) -> str:
    return f" (SHA-256 {file_hash(path)})"


def _source(folder: Path) -> dict[str, Any]:
    place = folder / SOURCE
    try:
        return json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    except ValueError:
        return {}


def _note(place: Path, **entries: object) -> None:
    before: dict[str, object] = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    place.write_text(json.dumps({**before, **entries}, indent=2, ensure_ascii=False), encoding="utf-8")
