"""Which packages are installed: what obverse asks for, and what its extras add. Read from its own metadata."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from obverse.core import package_version
from obverse.recipes.doctor_result import Check

USES = {
    "plot": "figures as files",
    "ui": "the workbench, obverse serve",
    "ray": "work spread over machines",
    "harness": "published tasks, obverse harness",
    "ruff": "PEP 8 scored faster",
    "alt-profanity": "another scorer of toxicity",
    "detoxify": "another scorer of toxicity",
    "presidio": "another scorer of personal data",
    "scrubadub": "another scorer of personal data",
    "all": "everything above",
}
"""What an extra is for."""


def versions() -> Iterator[Check]:
    """Look at obverse, Python, and every package that is always needed."""
    yield Check("versions", "obverse", "ok", f"{package_version()} in {Path(__file__).parents[1]}")
    python, wanted = platform.python_version(), SpecifierSet(metadata("obverse")["Requires-Python"] or "")
    found = f"{python} on {platform.platform(terse=True)}"
    if wanted.contains(python, prereleases=True):
        yield Check("versions", "python", "ok", found)
    else:
        yield Check("versions", "python", "fault", found, f"Use Python {wanted}.")
    yield from (_package(need) for need in requirements())


def extras() -> Iterator[Check]:
    """Look at what each extra adds; ``all``, which is everything above, comes last."""
    for extra in sorted(metadata("obverse").get_all("Provides-Extra") or (), key="all".__eq__):
        needs = [need for need in requirements(extra) if need.name != "obverse"]
        if not needs:  # an extra of extras
            continue
        found = [_package(need) for need in needs]
        lacking = [check for check in found if check.status != "ok"]
        packages = ", ".join(f"{check.name} {check.found}" for check in lacking or found)
        told = [USES[extra]] if extra in USES else []
        told += [packages] if extra != "all" else []
        hint = f"pip install 'obverse[{extra}]'" if lacking else ""
        yield Check("extras", extra, "note" if lacking else "ok", ": ".join(told), hint)


def requirements(extra: str | None = None) -> list[Requirement]:
    """Return what is always asked for on this machine, or what an extra adds to it."""
    found = [Requirement(text) for text in requires("obverse") or ()]
    always = [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]
    if extra is None:
        return always
    return [need for need in found if need not in always and need.marker and need.marker.evaluate({"extra": extra})]


def _package(need: Requirement) -> Check:
    hint = f"pip install '{need.name}{need.specifier}'"
    try:
        found = version(need.name)
    except PackageNotFoundError:
        return Check("versions", need.name, "fault", "not installed", hint)
    if need.specifier.contains(found, prereleases=True):
        return Check("versions", need.name, "ok", found)
    return Check("versions", need.name, "fault", f"{found}, where {need.specifier} is needed", hint)
