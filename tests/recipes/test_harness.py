"""Side effects through lm-evaluation-harness: the same documents before and after an edit."""

import json
import math
import socket

import numpy as np
import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra harness)")

from hypothesis import given
from hypothesis import strategies as st

from families import tiny
from harness_tasks import CASES, own_model, random_edit, write_task
from obverse.core import ObverseError, UnknownName
from obverse.measuring import likelihoods
from obverse.recipes.harness import harness, load_tasks, run_harness
from obverse.recipes.harness_scores import bootstrap_error, mean_error
from obverse.recipes.models import ModelChoice
from tiny_tokenizers import SENTENCES

SEVERAL = [
    {
        "question": f"{text.split(' the ')[0]} the",
        "choices": ["Seattle", "sport", "city"],
        "answer": i % 3,
        "case_id": i % 2,
    }
    for i, text in enumerate(SENTENCES[:40:4])
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import datasets.config

    folder = tmp_path_factory.mktemp("tasks")
    shown = {"doc_to_text": "{{question}}", "doc_to_target": "answer", "doc_to_choice": "choices"}
    write_task(folder, "choose", SEVERAL, output_type="multiple_choice", num_fewshot=2, **shown)
    texts = [{"text": text} for text in SENTENCES[:30:3]]
    rolling = [{"metric": name} for name in ("word_perplexity", "bits_per_byte")]
    write_task(
        folder, "read", texts, output_type="loglikelihood_rolling", doc_to_text="", doc_to_target="text",
        metric_list=rolling,
    )  # fmt: skip
    said = {"until": ["\n"], "max_gen_toks": 4, "do_sample": False}
    write_task(
        folder, "say", SEVERAL, output_type="generate_until", doc_to_text="question",
        doc_to_target="{{choices[answer]}}", generation_kwargs=said, metric_list=[{"metric": "exact_match"}],
    )  # fmt: skip
    (folder / "all.yaml").write_text(
        "group: everything\ntask: [choose, choose_again]\naggregate_metric_list: [{metric: acc}]\n"
    )
    write_task(folder, "choose_again", SEVERAL[:3], output_type="multiple_choice", num_fewshot=0, **shown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield folder


def score(result, task, metric):
    (found,) = [one for one in result.scores if (one.task, one.metric) == (task, metric)]
    return found


def test_numbers_are_those_of_the_harness_with_its_own_model(folder):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    lm = tiny("gpt2")
    edit = random_edit(lm, 0)
    names = ["choose", "read", "say"]
    ours = harness(lm, edit, names, task_folder=folder)
    manager = TaskManager(include_path=str(folder), include_defaults=False)

    def theirs():
        return simple_evaluate(
            own_model(lm), tasks=names, task_manager=manager, bootstrap_iters=0, random_seed=None,
            numpy_random_seed=None, torch_random_seed=None,
        )["results"]  # fmt: skip

    before = theirs()
    with edit.applied(lm):
        after = theirs()
    compared = 0
    for name in names:
        for key, value in before[name].items():
            metric, comma, _ = key.partition(",")
            if comma and not metric.endswith("_stderr"):
                found = score(ours, name, metric)
                assert found.before.value == pytest.approx(value, rel=1e-4)
                assert found.after.value == pytest.approx(after[name][key], rel=1e-4)
                assert found.difference.value == pytest.approx(after[name][key] - value, abs=1e-3 * abs(value))
                assert (found.n, found.version) == (10, "2.0")
                compared += 1
    assert compared == 5
    changed = score(ours, "read", "bits_per_byte")
    assert abs(changed.difference.value) > 1e-3
    assert changed.higher_is_better is False
    json.dumps(ours.to_json())


def test_each_document_under_its_own_edit_equals_one_edit_at_a_time(tiny_lm, folder):
    lm = tiny_lm("gpt2")
    edits = {"0": random_edit(lm, 0), "1": random_edit(lm, 1, layer=0)}
    together = harness(lm, edits, ["choose_again"], task_folder=folder)
    assert together.facts == (CASES[0].fact, CASES[1].fact)
    found = score(together, "choose_again", "acc")
    right = []
    for i in range(3):
        with edits[str(i % 2)].applied(lm):
            asked = likelihoods(lm, [(SEVERAL[i]["question"], choice) for choice in SEVERAL[i]["choices"]])
        right.append(max(range(3), key=lambda k, asked=asked: asked[k].total) == SEVERAL[i]["answer"])
    assert found.after.value == pytest.approx(sum(right) / 3)


def test_errors_are_of_paired_documents(tiny_lm, folder):
    lm = tiny_lm("gpt2")
    same = harness(lm, {"0": random_edit(lm, 0), "1": random_edit(lm, 0)}, ["choose_again"], task_folder=folder)
    one = harness(lm, random_edit(lm, 0), ["choose_again", "read"], limit=3, task_folder=folder)
    assert score(same, "choose_again", "acc").after == score(one, "choose_again", "acc").after
    unchanged = harness(lm, {"0": None, "1": None}, ["choose_again"], task_folder=folder)
    found = score(unchanged, "choose_again", "acc")
    assert (found.difference.value, found.difference.stderr, found.interval) == (0, 0, (0, 0))
    bits = score(one, "read", "bits_per_byte")
    assert (bits.n, one.limit) == (3, 3)
    assert bits.difference.stderr < bits.before.stderr + bits.after.stderr
    low, high = bits.interval
    assert low < bits.difference.value < high


def test_a_group_is_the_mean_of_its_tasks_by_size(tiny_lm, folder):
    lm = tiny_lm("gpt2")
    result = harness(lm, random_edit(lm, 0), ["everything"], task_folder=folder)
    parts = [score(result, name, "acc") for name in ("choose", "choose_again")]
    whole = score(result, "everything", "acc")
    assert whole.n == 13
    assert whole.after.value == pytest.approx((10 * parts[0].after.value + 3 * parts[1].after.value) / 13)
    assert whole.difference.value == pytest.approx(whole.after.value - whole.before.value)
    expected = math.hypot(10 * parts[0].before.stderr, 3 * parts[1].before.stderr) / 13
    assert whole.before.stderr == pytest.approx(expected)
    assert whole.higher_is_better


def test_without_an_edit(tiny_lm, folder):
    found = score(harness(tiny_lm("gpt2"), None, ["choose_again"], task_folder=folder), "choose_again", "acc")
    assert (found.after, found.difference, found.interval) == (None, None, None)
    assert found.before.stderr is not None


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_error_of_a_mean(values):
    from lm_eval.api.metrics import mean, mean_stderr

    assert mean_error(values) == pytest.approx(mean_stderr(values), abs=1e-9)
    assert bootstrap_error(mean, values) == bootstrap_error(mean, values)
    spread = np.std(values) / math.sqrt(len(values))
    assert bootstrap_error(mean, values) == pytest.approx(spread, rel=0.35, abs=1e-9)


def test_one_document_has_no_error():
    assert mean_error([1.0]) is None
    assert bootstrap_error(sum, [1.0]) is None


def test_patterns_and_wrong_names(folder, tmp_path, monkeypatch):
    from lm_eval import tasks

    assert set(load_tasks(["choose*"], folder)["tasks"]) == {"choose", "choose_again"}
    with pytest.raises(UnknownName, match="There is no folder"):
        load_tasks(["choose"], tmp_path / "none")
    own = tasks.TaskManager  # to index the harness's own tasks takes ten seconds
    asked = []
    monkeypatch.setattr(
        tasks, "TaskManager",
        lambda include_defaults=True, **given: asked.append(include_defaults) or own(include_defaults=False, **given),
    )  # fmt: skip
    with pytest.raises(UnknownName, match=r"no task 'chose'\.\nDid you mean choose"):
        load_tasks(["chose"], folder)
    assert asked == [False, True]


def test_tasks_that_cannot_be_asked(tmp_path):
    asks = {"output_type": "loglikelihood", "doc_to_text": "question", "doc_to_target": "answer"}
    write_task(tmp_path, "moved", SEVERAL, **asks)
    (tmp_path / "moved.jsonl").unlink()
    with pytest.raises(ObverseError, match=r"tasks moved cannot be loaded(.|\n)*export them again after a move"):
        load_tasks(["moved"], tmp_path)
    write_task(tmp_path, "danger", SEVERAL, unsafe_code=True, **asks)
    with pytest.raises(ObverseError, match="The task danger runs unsafe code"):
        load_tasks(["danger"], tmp_path)


def test_nothing_is_said_and_no_network_is_asked(tiny_lm, folder, capsys, caplog, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address) or [])
    harness(tiny_lm("gpt2"), None, ["choose_again", "read"], task_folder=folder)
    said = capsys.readouterr()
    assert (said.out, said.err, caplog.text) == ("", "", "")
    assert asked == []


def test_an_older_result_is_kept(folder, tmp_path):
    out = tmp_path / "result.json"
    out.write_text("{}")
    with pytest.raises(ObverseError, match="exists already"):
        run_harness([], ["choose"], ModelChoice("none"), task_folder=folder, out=out)
