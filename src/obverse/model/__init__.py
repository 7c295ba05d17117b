"""One wrapper round Hugging Face models: load, find the parts, read and change states, align tokens."""

from obverse.model.architecture import Architecture, Layout
from obverse.model.builtin import BUILTINS, Builtin
from obverse.model.fingerprint import Fingerprint, tensor_hash
from obverse.model.hooks import Site, capture, intervene
from obverse.model.language_model import DEFAULT_MODEL, LanguageModel

__all__ = [
    "BUILTINS",
    "DEFAULT_MODEL",
    "Architecture",
    "Builtin",
    "Fingerprint",
    "LanguageModel",
    "Layout",
    "Site",
    "capture",
    "intervene",
    "tensor_hash",
]
