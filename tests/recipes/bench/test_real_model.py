"""On a real model: facts edited and measured together are as each alone, and the shipped set says what it promises."""

import pytest

from obverse.model.language_model import LanguageModel
from obverse.recipes.bench import Schedule, load_dataset, plan_methods
from obverse.recipes.bench.worker import Job, Work, Worker
from obverse.recipes.models import ModelChoice
from obverse.verifying.measures import MeasureConfig


@pytest.mark.real_model
def test_a_batch_of_edits_is_as_each_alone():
    lm = LanguageModel.load("gemma-3-270m")
    runs = {run.label: run for run in plan_methods(["rome", "in-context"], ["rome.steps=8"])}
    cases = load_dataset("starter", limit=200).cases[::70]
    measure = MeasureConfig(generation=False, drift_tokens=16)
    worker = Worker(Work(ModelChoice(), runs, cases, Schedule(), measure, 8, None, {}), lm)
    unedited = worker(Job("unedited", range(3)))
    for label in ("rome", "in-context"):
        together = worker(Job(label, range(3)))
        for place, record in enumerate(together):
            (alone,) = worker(Job(label, range(place, place + 1)))
            assert record["values"] == pytest.approx(alone["values"], abs=1e-3)
            assert unedited[place]["values"]["efficacy_success"] == 0  # the set has what the model knows
            assert record["values"]["drift_kl"] > 0
            assert unedited[place]["values"]["drift_kl"] == 0
        # Not all three: where a short subject opens the text, its key there is far from the mean key ROME writes to.
        assert sum(record["values"]["efficacy_success"] for record in together) >= 2
