"""What every room shares. Never imports torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from obverse.core.errors import (
    ConfigError,
    DataError,
    EditFailed,
    EditMismatch,
    ObverseError,
    RunConflict,
    SubjectNotFound,
    UnknownName,
    UnsupportedModel,
)
from obverse.core.facts import KINDS, Case, Fact, Kind, Probe
from obverse.core.progress import Progress, Reporter, reporting, track
from obverse.core.questions import Consequence, Criterion, Question
from obverse.core.registry import Registry
from obverse.core.runs import Run, read_records
from obverse.core.seeds import seed_for
from obverse.core.storage import cache_dir, file_hash, storage_errors, whole_folder, write_text, write_whole
from obverse.core.types import Interval, JsonValue
from obverse.core.version import package_version

if TYPE_CHECKING:
    from obverse.core.config import Config, build, merged, parse_override

__all__ = [
    "KINDS", "Case", "Config", "ConfigError", "Consequence", "Criterion", "DataError", "EditFailed",
    "EditMismatch", "Fact", "Interval", "JsonValue", "Kind", "ObverseError", "Probe", "Progress", "Question",
    "Registry", "Reporter", "Run", "RunConflict", "SubjectNotFound", "UnknownName", "UnsupportedModel", "build",
    "cache_dir", "file_hash", "merged", "package_version", "parse_override", "read_records", "reporting", "seed_for",
    "storage_errors", "track", "whole_folder", "write_text", "write_whole",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load settings when they are first used, so that `--help` need not wait for them."""
    if name not in ("Config", "build", "merged", "parse_override"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("obverse.core.config"), name)
    globals()[name] = value
    return value
