"""``obverse reversal run``: plans, marked sentences, facts, a tiny run from end to end, and folders that were mixed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, DataError, RunConflict, UnknownName
from obverse.data.reversal import ReversalSet, read_reversal
from obverse.data.toy_reversal import toy_reversal
from obverse.locating.trace import ROLES
from obverse.recipes import reversal_run
from obverse.recipes.reversal_run import ReversalRunResult, run_reversal
from obverse.recipes.reversal_run_edit import read_edits
from obverse.recipes.reversal_run_facts import bare, common_lead, group_facts, records
from obverse.recipes.reversal_run_plan import MARK, ReversalRunRequest, ThenRequest, arm_of, known_objectives, make_plan
from obverse.recipes.reversal_run_report import formatted, whole_json
from obverse.recipes.reversal_run_results import read_run
from obverse.recipes.reversal_run_tables import sheets
from obverse.recipes.reversal_run_trace import KINDS, Traced, difference_at, differences, peak, read_traces, trace_sheet
from obverse.recipes.reversal_run_train import check_held_out, marked

TINY = (
    "model.settings={hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 2, "
    "num_key_value_heads: 2, max_position_embeddings: 64}",
    "training.per_device_train_batch_size=4",
)

WORDS = st.lists(st.sampled_from(["the", "a", "old", "keeper", "of", "doors"]), min_size=1, max_size=5)


def asked(out: Path, **more: Any) -> ReversalRunRequest:
    given: dict[str, Any] = {"objectives": ("mle", "infilling"), "seeds": 1, "people": 4, "steps": 2, "out": out}
    return ReversalRunRequest(**{**given, "overrides": TINY, **more})


# Laws


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_what_all_answers_begin_with_is_taken_off_them_and_leaves_a_word(answers: list[list[str]]) -> None:
    texts = ["".join(f" {word}" for word in words) for words in answers]
    lead = common_lead(texts)
    assert all(text.startswith(lead) for text in texts)
    for text, words in zip(texts, answers, strict=True):
        left = words[len(lead.split()) :]
        assert left
        assert bare(text, lead) == bare(text + " .", lead) == " ".join(left)
    nexts = {words[len(lead.split())] for words in answers}
    assert len(nexts) > 1 or any(len(words) == len(lead.split()) + 1 for words in answers)  # it is the longest


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_marks_say_nothing_about_facts(seed: int) -> None:
    people = toy_reversal(3, 2)
    found = marked(people, seed)
    plain = [document.text for document in people.documents()]
    assert [document.text.removeprefix(MARK) for document in found] == plain
    assert [document.scores == (1.0,) for document in found] == [document.text.startswith(MARK) for document in found]
    assert [document.meta for document in found] == [document.meta for document in people.documents()]
    assert 0.2 < np.mean([document.text.startswith(MARK) for document in found]) < 0.8


def tables(seed: int) -> dict[Any, Any]:
    draws = np.random.default_rng(seed)
    return {kind: draws.normal(size=(len(ROLES), 3)) for kind in KINDS}


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_differences_of_traces_are_paired_and_turn_round(first: int, second: int) -> None:
    one = Traced("mle", "group", 3, {"a": tables(first), "b": tables(first + 1)}, {})
    two = Traced("bico", "group", 3, {"b": tables(second), "c": tables(second + 1)}, {})
    for kind in KINDS:
        there, n = differences(one, two, kind)
        back, _ = differences(two, one, kind)
        assert n == 1  # the one fact that both answer
        np.testing.assert_allclose(there, tables(first + 1)[kind] - tables(second)[kind])
        np.testing.assert_allclose(there, -back)
        np.testing.assert_allclose(differences(one, one, kind)[0], 0)
        layer, top = peak(one, kind, ROLES[0])  # pyright: ignore[reportGeneralTypeIssues]
        assert top.mean == pytest.approx(one.mean(kind)[0].max())
        assert difference_at(one, two, kind, ROLES[0], layer).mean == pytest.approx(there[0, layer])  # pyright: ignore[reportOptionalMemberAccess]


# Facts


def test_people_trained_name_first_become_facts_with_their_reverse() -> None:
    people = toy_reversal(0, 5)
    found = group_facts(people, 4, "<s>")
    assert [one.entity for one in found] == list(people.groups["p2d"])[:4]
    for one in found:
        who = people.identities[one.entity]
        assert one.fact.subject == who.name
        assert one.fact.prompt == "<s>{} is the"
        assert f"the {one.fact.target}" == who.description
        assert one.reverse == "<s>the {} is"
        assert all(text.startswith("<s>") and who.name in text and text.endswith(" the") for text in one.paraphrases)
    rows = records(found)
    assert [row["target"] for row in rows] == [one.fact.target for one in (*found[1:], found[0])]
    assert all(row["target"] not in [near["answer"] for near in row["neighbours"]] for row in rows)
    assert all(row["target_true"] not in [near["answer"] for near in row["neighbours"]] for row in rows)


def test_a_set_without_people_trained_name_first_has_no_facts() -> None:
    people = toy_reversal(0, 2)
    files = {stem: rows for stem, rows in people.files.items() if not stem.startswith("p2d")}
    with pytest.raises(DataError, match="no people trained name first"):
        group_facts(replace(people, files=files), 4)


# Plans


def test_every_known_objective_can_be_trained(tmp_path: Path) -> None:
    from obverse.recipes.reversal_run_train import Work, trial_config

    names = tuple(known_objectives())
    assert {"mle", "bico", "infilling", "reverse", "permutation", "mlm-u", "conditional"} <= set(names)
    plan = make_plan(asked(tmp_path, objectives=names, preferences=True))
    for trial in plan.trials:
        config = trial_config(Work.of(plan, trial))
        assert config.training.arguments["max_steps"] == 2
        assert config.objective_name == trial.arm.objective["name"]


def test_settings_of_an_objective_reach_the_part_of_the_mixture_they_are_of(tmp_path: Path) -> None:
    plan = make_plan(asked(tmp_path, objectives=("bico", "reverse"), overrides=("objectives.bico.rate=0.3",)))
    arms = {trial.objective: trial.arm for trial in plan.trials}
    first, *others = arms["bico"].objective["objectives"]
    assert (first["name"], first["rate"]) == ("bico", 0.3)
    assert all("rate" not in part for part in others)
    assert arms["reverse"] == arm_of("reverse")


def test_more_seeds_and_objectives_keep_the_names_of_those_before(tmp_path: Path) -> None:
    few = make_plan(asked(tmp_path, objectives=("mle",), seeds=1))
    more = make_plan(asked(tmp_path, objectives=("mle", "bico"), seeds=3))
    assert {trial.id: trial for trial in few.trials}.items() <= {trial.id: trial for trial in more.trials}.items()
    assert len(more.trials) == 9  # the untrained one of each seed too


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"objectives": ("bicco",)}, UnknownName, "bicco"),
        ({"objectives": ()}, ConfigError, "No objective"),
        ({"objectives": ("mle", "conditional")}, ConfigError, "misalignment scores"),
        ({"seeds": 0}, ConfigError, "trains nothing"),
        ({"full": True}, ConfigError, "--full"),
        ({"model": "smollm2-135m", "data": "toy"}, ConfigError, "invented words"),
        ({"data": "/nowhere"}, UnknownName, "no folder"),
        ({"overrides": ("training.max_steps=3",)}, ConfigError, "set by steps"),
        ({"overrides": ("objectives.bico.rate=0.3",)}, ConfigError, "bico is not trained"),
        ({"overrides": ("objectives.mle.nonsense=1",)}, ConfigError, "nonsense"),
        ({"then": ThenRequest(("edti",))}, UnknownName, "edti"),
        ({"then": ThenRequest(("edit",), ("romme",))}, UnknownName, "romme"),
        ({"then": ThenRequest(("trace",), facts="all")}, UnknownName, "all"),
        ({"people": 100}, DataError, "100 people"),
    ],
)
def test_what_is_asked_for_wrongly(tmp_path: Path, more: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run_reversal(asked(tmp_path / "run", **more))
    assert not list(tmp_path.glob("run/models/*"))


def test_an_unknown_objective_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        arm_of("bicco")
    assert "bico" in caught.value.hint


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    plans = []
    result = run_reversal(asked(tmp_path / "run", dry_run=True), plans.append)
    assert result.results is None
    assert result.to_json()["plan"]["models"] == 3
    assert not (tmp_path / "run").exists()


def test_a_held_out_question_that_is_trained_is_refused() -> None:
    people = toy_reversal(0, 2)
    check_held_out(people)
    rows = people.files["p2d_reverse_prompts_test"]
    trained = (*people.train, rows[0])
    with pytest.raises(DataError, match="N2D-reverse is a training sentence"):
        check_held_out(replace(people, files={**people.files, "all_prompts_train": trained}))


# One tiny run from end to end


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ReversalRunResult:
    then = ThenRequest(("edit", "trace"), ("ft",))
    return run_reversal(asked(tmp_path_factory.mktemp("reversal") / "run", then=then))


def copied(whole: ReversalRunResult, to: Path) -> Path:
    from shutil import copytree

    return Path(copytree(whole.plan.folder, to / "run"))


def test_every_question_has_its_answer(whole: ReversalRunResult) -> None:
    people = read_reversal(whole.plan.folder / "sets" / "seed0")
    found = read_run(whole.plan.folder)
    assert found.objectives == ("mle", "infilling")
    assert found.ways == (("mle", "left-to-right"), ("infilling", "left-to-right"), ("infilling", "blank"))
    for (_, _, wordings, subtask), answers in found.answers.items():
        rows = people.subtasks("training" if wordings == "training" else "held-out")[subtask]
        assert [one.prompt for one in answers] == list(rows)
        assert all(one.gap is not None and {"greedy", "choice"} <= one.verdicts.keys() for one in answers)
    assert {place[3] for place in found.summaries} == {
        "N2D",
        "D2N",
        "N2D-reverse",
        "D2N-reverse",
        "both-N2D",
        "both-D2N",
    }
    assert all(one.people == 4 and "gap" in one.change for one in found.summaries.values())


def test_tables_page_and_summary_have_the_same_numbers(whole: ReversalRunResult) -> None:
    folder, results = whole.plan.folder, read_run(whole.plan.folder)
    numbers = json.loads(json.dumps(whole_json(results)))
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert {key: summary[key] for key in numbers} == numbers
    page = (folder / "report.html").read_text("utf-8")
    embedded = page.split('id="report">')[1].split("</script>")[0].replace("\\u003c", "<")
    assert json.loads(embedded) == numbers
    assert "<image" not in page  # the page's own policy forbids pictures
    assert "://" not in page.replace("http://www.w3.org/", "")  # names of SVG; nothing is fetched
    assert len(page.encode()) < 2_000_000
    right = sheets(results)[0]
    for row in right.rows:
        name, _, blank = row[0].text.partition(", as a ")
        told = numbers["summaries"][name][blank or "left-to-right"]["training"]
        assert [cell.value for cell in row[1:7]] == [told[one]["values"]["greedy"]["mean"] for one in right.head[1:7]]
    told = numbers["summaries"]["mle"]["left-to-right"]["held-out"]["N2D"]["values"]["greedy"]["mean"]
    assert f"mle,left-to-right,held-out,N2D,greedy,{told!r}," in formatted(results, "csv")
    assert formatted(results, "latex").count(r"\begin{table}") == formatted(results, "markdown").count("**\n\n|")


def test_edits_are_asked_forward_and_in_reverse(whole: ReversalRunResult) -> None:
    found = read_edits(whole.plan.folder, json.loads((whole.plan.folder / "run.json").read_text("utf-8"))["config"])
    assert {(one.objective, one.method) for one in found} == {
        (objective, method) for objective in ("mle", "infilling") for method in ("unedited", "ft")
    }
    assert all(one.metrics["reverse_success"].n == 4 for one in found)
    assert "Does an edit hold in reverse?" in (whole.plan.folder / "report.md").read_text("utf-8")


def test_traces_of_seeds_come_together_by_fact(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    effects = {kind: [[0.1 * row, 0.2 * row] if row else [None, None] for row in range(len(ROLES))] for kind in KINDS}
    for name in ("mle-seed0", "mle-seed1", "bico-seed0"):
        told = {"asked": 5, "facts": {"7": {"total": 0.5, "effects": effects}}}
        (tmp_path / "traces" / f"group-{name}.json").write_text(json.dumps(told), "utf-8")
    made = read_traces(tmp_path, {"data": "toy"})
    assert [(one.objective, len(one.effects), one.asked) for one in made] == [("mle", 2, 10), ("bico", 1, 5)]
    fixed = read_traces(tmp_path, {"data": "0123456789"})
    assert [len(one.effects) for one in fixed] == [1, 1]  # the same person in both seeds
    sheet = trace_sheet(made, "group")
    assert sheet is not None
    row = next(row for row in sheet.rows if row[0].text == "bico" and row[1].text == "mlp" and row[2].text == ROLES[2])
    assert [cell.text for cell in row[3:]] == ["1", "40.0", "0.0", "1 of 5"]
    assert ROLES[0] not in {row[2].text for row in sheet.rows}  # no fact has a token there


def test_a_finished_run_is_not_trained_again_and_may_grow(
    whole: ReversalRunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, trained = copied(whole, tmp_path), list[str]()

    def counted(work: Any) -> dict[str, Any]:
        trained.append(work.trial.id)
        return train_and_ask(work)

    train_and_ask: Callable[[Any], dict[str, Any]] = reversal_run.train_and_ask
    monkeypatch.setattr(reversal_run, "train_and_ask", counted)
    run_reversal(asked(folder))
    assert trained == []
    result = run_reversal(asked(folder, objectives=("mle", "mlm-u")))
    assert trained == ["mlm-u-seed0"]
    assert result.results is not None
    assert result.results.objectives == ("mle", "infilling", "mlm-u")  # those of before stay


def test_a_killed_run_loses_the_model_in_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, train_and_ask = list[str](), reversal_run.train_and_ask

    def killed(work: Any) -> dict[str, Any]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(work.trial.id)
        return train_and_ask(work)

    request = asked(tmp_path / "run", objectives=("mle", "reverse"), overrides=(*TINY, "people=2"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reversal_run, "train_and_ask", killed)
        run_reversal(request)
    plans = []
    before = (tmp_path / "run" / "models" / "mle-seed0" / "summary.json").read_bytes()
    partly = read_run(tmp_path / "run")
    assert partly.objectives == ("mle",)  # a report can be had at any time
    run_reversal(request, plans.append)
    assert plans[0].done == {"untrained-seed0", "mle-seed0"}
    assert (tmp_path / "run" / "models" / "mle-seed0" / "summary.json").read_bytes() == before
    assert read_run(tmp_path / "run").objectives == ("mle", "reverse")


# Folders that were mixed


def changed_record(folder: Path, id: str, change: dict[str, Any]) -> None:
    path = folder / "records.00000.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps({**row, **(change if row["id"] == id else {})}) + "\n" for row in rows), "utf-8")


def test_models_of_other_people_are_not_compared(whole: ReversalRunResult, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    changed_record(folder, "infilling-seed0", {"data": "0123456789-0123456789"})
    with pytest.raises(DataError, match="infilling-seed0 on 0123456789"):
        read_run(folder)


def test_answers_that_were_changed_are_not_counted(whole: ReversalRunResult, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    path = folder / "answers" / "mle-seed0.jsonl"
    path.write_text(path.read_text("utf-8").replace('"greedy": 0.0', '"greedy": 1.0'), "utf-8")
    with pytest.raises(DataError, match="was changed since"):
        read_run(folder)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        read_run(folder)


def test_another_set_in_its_folder_is_not_gone_on_with(whole: ReversalRunResult, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    other: ReversalSet = toy_reversal(9, 4)
    other.write(folder / "sets" / "seed0", replace=True)
    with pytest.raises(RunConflict, match="different runs"):
        run_reversal(asked(folder))


def test_other_settings_are_not_gone_on_with(whole: ReversalRunResult) -> None:
    with pytest.raises(RunConflict, match="steps: 3 given, 2 stored"):
        run_reversal(asked(whole.plan.folder, steps=3))
    with pytest.raises(RunConflict, match=r"infilling-seed0 .* was trained with"):
        run_reversal(asked(whole.plan.folder, overrides=(*TINY, "objectives.infilling.entities=0.25")))


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run of"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"config": {"command": "train"}}), "utf-8")
    with pytest.raises(DataError, match="is no run of"):
        read_run(tmp_path)


@pytest.mark.real_model
def test_a_pretrained_model_is_fine_tuned_and_asked(tmp_path: Path) -> None:
    request = ReversalRunRequest(
        objectives=("mle",), seeds=1, model="smollm2-135m", people=2, steps=2, out=tmp_path / "run",
        overrides=("wordings=[2, 1]", "training.use_cpu=true"),
    )  # fmt: skip
    result = run_reversal(request)
    assert result.results is not None
    found = result.results.summaries["mle", "left-to-right", "held-out", "N2D"]
    assert found.people == 2
    assert found.logprobs is not None
    assert found.change["logprob"].difference != 0  # adapters were trained, merged and loaded again
