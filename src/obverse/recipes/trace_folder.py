"""The files of a trace: tables, figures, page and run.json in a folder that is whole or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import UnknownName, whole_folder
from obverse.core.plotting import FORMATS, write_figure
from obverse.locating.figures import difference_map, heat_maps
from obverse.recipes.destination import check_figure, check_folder
from obverse.recipes.record import slug, write_json
from obverse.report.trace_page import write_trace_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from obverse.locating.trace import CausalTrace

NO_FIGURES = "No figures were drawn: matplotlib is not installed. Get it with: pip install 'obverse[plot]'"


@dataclass(frozen=True, slots=True)
class TraceFiles:
    """What is to be written.

    Attributes:
        out: Folder for traces, figures, page and run.json; None for none.
        overwrite: Whether an older trace there may be replaced.
        formats: Formats of the figures there.
        figure: One more file for the figure; None for none.
    """

    out: Path | None = None
    overwrite: bool = False
    formats: Sequence[str] = ("png", "svg")
    figure: Path | None = None

    @property
    def any(self) -> bool:
        """Whether anything is to be written."""
        return self.out is not None or self.figure is not None

    def check(self) -> None:
        """Refuse, before any work, what cannot be written.

        Raises:
            UnknownName: If there is no such format.
            ConfigError: If the figure's ending is no format.
            ObverseError: If the folder exists and may not be replaced, or holds something else than a trace; or if the
                figure is asked for and matplotlib is not installed.
        """
        self.check_figures()
        if self.out is not None:
            check_folder(self.out, overwrite=self.overwrite, ours=("trace*.safetensors",))

    def check_figures(self) -> None:
        """Refuse figures that cannot be drawn; raises as `check` does."""
        for name in self.formats:
            if name not in FORMATS:
                raise UnknownName.among("figure format", name, FORMATS)
        if self.figure is not None:
            check_figure(self.figure)

    def write(
        self,
        traces: Mapping[str, CausalTrace],
        reverse: CausalTrace | None = None,
        *,
        record: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        command: str | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Write traces with their figures and page; without matplotlib there are no figures.

        Args:
            traces: By the name of their statement; empty for a single prompt's.
            reverse: Trace of the reverse statement, where there is one trace.
            record: Content of ``run.json``, if any.
            notes: Sentences for the page.
            command: The command line, for the page.
            seconds: Time by step, for the page.

        Raises:
            ObverseError: If something cannot be written.
        """
        shown = [*traces.values(), *([reverse] if reverse else [])]
        if self.out is not None:
            with whole_folder(self.out, replace=self.overwrite) as draft:
                for name, trace in zip(_names(traces), traces.values(), strict=True):
                    trace.save(draft / f"trace{name}.safetensors")
                if reverse:
                    reverse.save(draft / "trace-reverse.safetensors")
                for stem, figure in (_figures(traces, reverse) if can_draw() else {}).items():
                    for ending in dict.fromkeys(self.formats):
                        write_figure(figure, draft / f"{stem}.{ending}")
                write_trace_page(
                    draft / "report.html",
                    shown,
                    reverse=reverse is not None,
                    notes=notes,
                    settings=dict(record["config"]["settings"]) if record else {},
                    versions=record["versions"] if record else {},
                    command=command,
                    seconds=seconds or {},
                )
                if record is not None:
                    write_json(draft / "run.json", record)
        if self.figure is not None:
            heat_maps(shown, self.figure)


def can_draw() -> bool:
    """Say whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def _figures(traces: Mapping[str, CausalTrace], reverse: CausalTrace | None) -> dict[str, Figure]:
    """Return the figures of a folder by the stem of their files."""
    if reverse:
        (forward,) = traces.values()
        return {
            "heatmap": heat_maps([forward, reverse]),
            "heatmap-reverse": heat_maps([reverse]),  # on its own scale, whose top may be far below the forward one's
            "difference": difference_map(forward, reverse),
        }
    return {f"heatmap{name}": heat_maps([trace]) for name, trace in zip(_names(traces), traces.values(), strict=True)}


def _names(traces: Mapping[str, CausalTrace]) -> list[str]:
    """Return what is added to the names of each trace's files: nothing to those of a single prompt."""
    names = [f"-{slug(name)}" if name else "" for name in traces]
    return names if len(set(names)) == len(names) else [f"-{number}" for number in range(len(names))]
