"""What an edit entails: RippleEdits' and MQuAKE's records run through the benchmark."""

import json
import re

from bench_facts import QUICK, request
from obverse.core import Case, Consequence, Fact, Question, read_records
from obverse.editing.rome import Rome
from obverse.measuring import greedy
from obverse.recipes.bench import read_bench, run_bench
from obverse.verifying.measures import REPLY_TOKENS, MeasureConfig, measure
from obverse.verifying.scores import case_values

CONFIG = MeasureConfig(generation=False, locality=False, drift_tokens=0)


def test_replies_are_judged_where_the_conditions_hold(tiny_lm):
    lm = tiny_lm("llama")
    (said,) = greedy(lm, ["Ann lives in"], REPLY_TOKENS)
    (word, *_) = re.findall(r"\w+", said)
    right, wrong = Question("Ann lives in", ((word,),)), Question("Ann lives in", (("nowhere at all",),))
    tests = (
        Consequence("forgetfulness", (right, wrong), any_of=True),
        Consequence("forgetfulness", (right, wrong), any_of=False),
        Consequence("logical-generalization", (right,), any_of=False, conditions=(wrong,)),  # means nothing here
        Consequence("compositionality-1", (right,), any_of=False, conditions=(right,)),
    )
    case = Case("0", Fact("Ann", "{} plays", "chess", "golf"), consequences=tests)
    (found,) = measure(lm, [case], [None], CONFIG)
    assert found.consequences == {"forgetfulness": (True, False), "compositionality-1": (True,)}
    values = case_values(found)
    assert (values["forgetfulness"], values["compositionality-1"]) == (0.5, 1.0)
    assert "logical-generalization" not in values


def test_the_facts_of_a_chain_are_written_by_one_edit(facts, tmp_path, monkeypatch):
    def rewrite(subject, target):
        return {"prompt": "{} is a citizen of", "subject": subject, "target_new": {"str": target},
                "target_true": {"str": "Wo"}}  # fmt: skip

    def hop(question, answer):
        return {"question": question, "answer": answer}

    record = {
        "case_id": 7, "requested_rewrite": [rewrite("Bo Ray", "Ux"), rewrite("Cy Ray", "Yi")],
        "questions": ["Who leads the country of Bo Ray?", "Bo Ray's country is led by whom?"],
        "answer": "Old Lee", "new_answer": "Ann Lee", "new_answer_alias": ["Annie"],
        "single_hops": [hop("Where is Bo Ray from?", "Wo")], "new_single_hops": [hop("Where is Bo Ray from?", "Ux")],
    }  # fmt: skip
    path = tmp_path / "chains.json"
    path.write_text(json.dumps([record, {**record, "case_id": 8}]))
    written = []
    edit = Rome.edit
    monkeypatch.setattr(Rome, "edit", lambda *args: written.append([f.subject for f in args[2]]) or edit(*args))
    run_bench(request(path, tmp_path / "run", overrides=QUICK))
    assert written == [["Bo Ray", "Cy Ray"]] * 2
    values = read_bench(tmp_path / "run").runs["rome"].values({})
    assert {"multi-hop", "hops", "efficacy_success"} <= values["7"].keys()
    (first, _) = read_records(tmp_path / "run" / "rome")
    assert first["consequences"].keys() == {"multi-hop", "hops"}
