"""A trace map by map is the trace; each map is there before the next."""

import json
import re

import pytest
import torch

from obverse.core import ConfigError, ObverseError
from obverse.recipes.trace import trace
from obverse.recipes.trace_run import show_traces
from obverse.workbench.form import FactForm
from obverse.workbench.tracing import MAPS, best_layer, keep_trace, locate
from obverse.workbench.view_trace import chosen, located_page

FORM = FactForm("Space Needle", "The {} is in the city of")


def run(desk, form=FORM, **settings):
    shown = []

    def work(job):
        keep, job.show = job.show, lambda found: (shown.append(found), keep(found))
        return locate(desk, job, desk.names[0], form, **{"samples": 3, "window": 2, **settings})

    return desk.submit(desk.visitors.visit(), "locate", work).result(), shown


def test_maps_made_one_by_one_are_those_made_together(desk):
    found, shown = run(desk)
    whole = trace(desk.model(desk.names[0]), FORM.statement().fact, samples=3, window=2)
    assert found.trace.kinds == whole.kinds == MAPS
    for kind in MAPS:
        torch.testing.assert_close(found.trace.restored[kind], whole.restored[kind], atol=1e-6, rtol=1e-4)
    assert [(one.trace.kinds, one.waiting) for one in shown] == [(MAPS[:i], MAPS[i:]) for i in (1, 2, 3)]


def test_before_many_samples_there_is_a_first_look_at_few(desk):
    _, shown = run(desk, samples=10)
    assert [(one.trace.kinds, one.waiting) for one in shown[:2]] == [(MAPS[:1], MAPS), (MAPS[:1], MAPS[1:])]
    assert "2 of 10" in shown[0].note
    assert "2 of 10" not in shown[1].note
    few = trace(desk.model(desk.names[0]), FORM.statement().fact, samples=2, window=2, kinds=["hidden"])
    torch.testing.assert_close(shown[0].trace.restored["hidden"], few.restored["hidden"], atol=1e-6, rtol=1e-4)
    assert located_page(shown[0]).count("to come") == 2


def test_the_page_has_all_maps_on_one_scale_and_a_cell_a_state(desk):
    found, shown = run(desk)
    html = located_page(found)
    cells = len(found.trace.tokens) * found.trace.n_layers
    assert len(re.findall("<rect [^>]*><title>", html)) == 3 * cells
    legends = {part.split("</data>")[0] for part in html.split("</span> <data ")[1:]}
    assert len(legends) == 1
    early = located_page(shown[0])
    assert len(re.findall("<rect [^>]*><title>", early)) == cells
    assert early.count("to come") == 2


def test_the_layer_to_edit_is_where_mlps_matter_most_at_the_subject(desk):
    found, _ = run(desk)
    effects = found.trace.indirect_effect("mlp")
    best = max(
        range(found.trace.n_layers), key=lambda layer: max(float(effects[t, layer]) for t in found.trace.subject)
    )
    assert best_layer(found.trace) == best
    assert "strongest" in chosen(best, found.trace)
    assert "strongest" not in chosen((best + 1) % 3, found.trace)
    only, _ = run(desk, kinds=["hidden"])
    assert best_layer(only.trace) is None


def test_a_trace_is_kept_as_the_command_line_writes_it(desk):
    anna = desk.visitors.visit()
    keep = lambda: desk.submit(anna, "keep", lambda _: keep_trace(desk, anna)).result()  # noqa: E731
    with pytest.raises(ObverseError, match="no trace yet"):
        keep()
    anna.located, _ = run(desk, kinds=["mlp"])
    folder = keep()
    assert folder == desk.runs.root / "trace-space-needle"
    assert {"trace.safetensors", "report.html", "run.json"} <= {path.name for path in folder.iterdir()}
    kept = show_traces(folder).traces[""]
    assert kept.to_json() == anna.located.trace.to_json()
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert (record["command"], record["config"]["settings"]["samples"]) == ("trace", 3)
    assert record["config"]["settings"]["kinds"] == ["mlp"]
    assert [one.kind for one in desk.runs.list()] == ["trace"]


def test_what_cannot_be_traced_is_said(desk):
    with pytest.raises(ConfigError, match="No map"):
        run(desk, kinds=[])
    with pytest.raises(ObverseError, match="noise"):
        run(desk, noise="loud")
    with pytest.raises(ObverseError):
        run(desk, FactForm("Anna", "Ben is in"))
