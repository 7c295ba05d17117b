"""Facts as tasks of the harness: what it then asks is what our own probes ask."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra harness)")

from harness_tasks import CASES, random_edit
from obverse.core import Case, ConfigError, DataError, Fact, ObverseError, Probe
from obverse.measuring import likelihoods
from obverse.recipes.harness import load_tasks
from obverse.recipes.harness_lm import EditedLM
from obverse.recipes.harness_tasks import MARKER, export_tasks
from obverse.verifying.probes import ask, rival


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def evaluated(lm, folder, names, edits=None):
    from lm_eval.evaluator import evaluate

    return evaluate(lm=EditedLM(lm, edits), task_dict=load_tasks(names, folder), bootstrap_iters=0)


def test_the_harness_asks_what_our_probes_ask_each_case_under_its_edit(tiny_lm, tmp_path):
    lm = tiny_lm("gpt2")
    folder = tmp_path / "tasks [1]"  # a name with characters that patterns of files are made of
    exported = export_tasks(CASES, folder)
    edits = {case.id: random_edit(lm, i) for i, case in enumerate(CASES)}
    found = evaluated(lm, folder, ["facts", "facts_said"], edits)
    shares = {}
    for kind in ("efficacy", "generalization", "specificity", "reverse"):
        asked = [(case, probe) for case in CASES for probe in case.probes[kind]]
        assert exported.documents[f"facts_{kind}"] == len(asked) == found["n-samples"][f"facts_{kind}"]["effective"]
        choices, said = [], []
        for case, probe in asked:
            with edits[case.id].applied(lm):
                own, other = likelihoods(lm, [(probe.text, probe.expected), rival(probe)])
                choices.append([other.total, own.total])
                said.append(ask(lm, [replace(case, probes={kind: (probe,)})])[0][0])
        samples = found["samples"][f"facts_{kind}"]
        for sample, totals in zip(samples, choices, strict=True):
            assert [resp[0][0] for resp in sample["resps"]] == pytest.approx(totals, abs=1e-4)
        shares[kind] = sum(own > other for other, own in choices) / len(choices)
        assert found["results"][f"facts_{kind}"]["acc,none"] == shares[kind]
        samples = found["samples"][f"facts_{kind}_said"]
        assert [bool(sample["acc"]) for sample in samples] == [answer.all_tokens for answer in said]
        assert [sample["resps"][0][0][0] for sample in samples] == pytest.approx([a.logprob for a in said], abs=1e-4)
    assert len(set(shares.values())) > 1
    assert found["results"]["facts"]["acc,none"] == pytest.approx(sum(shares.values()) / 4)
    assert found["versions"]["facts_efficacy"] == 1.0


def test_a_tie_fails(tiny_lm, tmp_path):
    same = Case("0", Fact("Rome", "{} is in", "Paris"), {"efficacy": (Probe("Rome is in", "Paris", "Paris"),)})
    export_tasks([same], tmp_path / "t")
    assert evaluated(tiny_lm("gpt2"), tmp_path / "t", ["facts"])["results"]["facts_efficacy"]["acc,none"] == 0


def test_scripts_without_spaces_get_none(tiny_lm, tmp_path):
    fact = Fact("太空針塔", "{}位於", "巴黎", "西雅圖")
    case = Case.of(fact, reverse=("在{}有",))
    export_tasks([case], tmp_path / "t", "zh")
    (document,) = map(json.loads, (tmp_path / "t" / "zh_efficacy.jsonl").read_text("utf-8").splitlines())
    assert document["choices"] == ["西雅圖", "巴黎"]
    lm = tiny_lm("llama")
    (sample,) = evaluated(lm, tmp_path / "t", ["zh_reverse"])["samples"]["zh_reverse"]
    ours = likelihoods(lm, [("在西雅圖有", fact.subject), ("在巴黎有", fact.subject)])
    assert [resp[0][0] for resp in sample["resps"]] == pytest.approx([one.total for one in ours], abs=1e-4)


def test_only_what_can_be_asked_becomes_a_task(tmp_path):
    bare = Case.of(Fact("Rome", "{} is in", "Italy"))
    exported = export_tasks([bare], tmp_path / "bare")
    assert exported.groups == {"facts_said": ("facts_efficacy_said",)}
    assert not (tmp_path / "bare" / "facts.yaml").exists()
    both = replace(CASES[0], id="1", probes={"reverse": (*CASES[0].probes["reverse"], Probe("a", "b", "c"))})
    exported = export_tasks([both], tmp_path / "both")
    assert exported.documents == {"facts_reverse_contrast": 1, "facts_reverse": 1, "facts_reverse_said": 2}
    assert set(load_tasks(["facts"], tmp_path / "both")["tasks"]) == {"facts_reverse_contrast", "facts_reverse"}


def test_what_it_refuses(tmp_path):
    with pytest.raises(ConfigError, match="'my facts' is no name for a task"):
        export_tasks(CASES, tmp_path / "t", "my facts")
    with pytest.raises(DataError, match="Several cases have the id 'case 0'"):
        export_tasks([*CASES, CASES[0]], tmp_path / "t")
    with pytest.raises(DataError, match="nothing to ask"):
        export_tasks([], tmp_path / "t")
    assert not (tmp_path / "t").exists()
    export_tasks(CASES, tmp_path / "t")
    with pytest.raises(ObverseError, match="exists already"):
        export_tasks(CASES, tmp_path / "t")
    assert export_tasks(CASES[:1], tmp_path / "t", replace=True).documents["facts_efficacy"] == 1
    (tmp_path / "t" / MARKER).unlink()
    with pytest.raises(DataError, match="holds no exported tasks"):
        export_tasks(CASES, tmp_path / "t", replace=True)
