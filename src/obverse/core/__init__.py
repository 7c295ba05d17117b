"""What every room shares. Never imports torch."""

from obverse.core.config import Config, build, merged, parse_override
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
from obverse.core.storage import cache_dir, file_hash, storage_errors, whole_folder, write_whole
from obverse.core.types import Interval, JsonValue
from obverse.core.version import package_version

__all__ = [
    "KINDS", "Case", "Config", "ConfigError", "Consequence", "Criterion", "DataError", "EditFailed",
    "EditMismatch", "Fact", "Interval", "JsonValue", "Kind", "ObverseError", "Probe", "Progress", "Question",
    "Registry", "Reporter", "Run", "RunConflict", "SubjectNotFound", "UnknownName", "UnsupportedModel", "build",
    "cache_dir", "file_hash", "merged", "package_version", "parse_override", "read_records", "reporting", "seed_for",
    "storage_errors", "track", "whole_folder", "write_whole",
]  # fmt: skip
