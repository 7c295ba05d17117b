"""Experiment 2 as a run: on a server that misbehaves, on a tiny model, stopped and resumed."""

import copy
import csv
import json
from collections import Counter

import pytest

from obverse.core import ConfigError, RunConflict
from obverse.data.public_figures import Pair, People
from obverse.measuring.answerers import Ask, LocalModel, Scored, ServerModel, has_chat_template
from obverse.measuring.openai_server import CompletionServer, ServerError
from obverse.measuring.parents import child_question, completion_prompt, completion_target, parent_question
from obverse.recipes.celebrities import CelebrityRequest, run_celebrities
from obverse.recipes.celebrity_survey import CelebritySettings
from obverse.recipes.costs import Prices
from protocol_server import serving

pytestmark = pytest.mark.enable_socket

PEOPLE = People(
    ("Ada Example", "Bo Sample", "Cy Proof"),
    (
        Pair("Ada Example", "Eve Example", "mother"),
        Pair("Ada Example", "Neal Example", "father"),
        Pair("Bo Sample", "Mae Sample", "mother"),
        Pair("Cy Proof", "Zoe Proof", "mother"),
    ),
)
KNOWN = {
    "Who is Ada Example's mother?": "Eve Example",
    "Who is Ada Example's father?": "I'm sorry, I can't share personal information.",
    "Who is Bo Sample's mother?": "Mae Sample",
    "Who is Cy Proof's mother?": "zoe proof",
    "Name a child of Eve Example.": "Ada Example",
}


def question_of(asked):
    if "messages" in asked:
        return asked["messages"][-1]["content"]
    return asked["prompt"].split("\n")[-2].removeprefix("Q: ")


def chat(asked):
    """Answer one at a time, as some servers do."""
    return [{"message": {"content": KNOWN.get(question_of(asked), "I don't know.")}, "finish_reason": "stop"}]


def completion(asked):
    if asked.get("echo"):
        text = asked["prompt"] + "x"
        told = {"tokens": list(text), "token_logprobs": [None, *([-0.5] * (len(text) - 1))]}
        return [{"text": text, "logprobs": told}]
    return [{"text": " " + KNOWN.get(question_of(asked), "I don't know.")}] * asked["n"]


def request(server, out, *, as_chat=True, tries=7, **settings):
    client = CompletionServer(server.url, "small", key="sk-secret", tries=tries, sleep=[].append)
    return CelebrityRequest(
        answerer=lambda: ServerModel(client, chat=as_chat),
        people=PEOPLE,
        out=out,
        settings=CelebritySettings(samples=3, **settings),
        parallel=2,
    )


def test_both_protocols_in_a_chat(tmp_path):
    with serving(chat) as server:
        server.faults += [(429, {}, b""), "truncated", "killed", (500, {}, b""), "half"]
        result = run_celebrities(request(server, tmp_path / "run"))
        asked = Counter((question_of(a), a["temperature"]) for _, _, a in server.seen)
        before = len(server.seen)
        again = run_celebrities(request(server, tmp_path / "run"))
        assert len(server.seen) == before  # nothing is asked again
    found, published = result.symmetric, result.published
    assert found is not None
    assert published is not None
    # By person: Ada knows one of two parents, Bo and Cy their mothers; only Ada is named, by one of two.
    assert found.parent.share.mean == pytest.approx((0.5 + 1 + 1) / 3)
    assert found.parent.published.mean == pytest.approx((0.5 + 1 + 0) / 3)  # "zoe proof" does not begin with "Zoe"
    assert found.child.share.mean == pytest.approx(0.5 / 3)
    assert found.parent.refused.mean == pytest.approx(0.5 / 3)
    assert found.child.unknown.mean == pytest.approx((0.5 + 1 + 1) / 3)
    assert (found.pairs, found.people, found.parent.logprob) == (4, 3, None)
    assert (published.asked, published.named.mean) == (6, pytest.approx(2 / 6))
    assert published.reversed is not None
    assert published.reversed.mean == 0.5
    assert published.true is not None
    assert published.true.mean == 1
    assert again.to_json()["symmetric"] == result.to_json()["symmetric"]
    assert again.estimate.requests == 0
    pytest.importorskip("matplotlib")
    assert [path.name for path in result.figures] == ["celebrities.png", "celebrities.svg"]
    assert all(path.is_file() for path in result.figures)
    # A sampled question takes three requests of a server that gives one answer each; failures add five in all.
    sampled = {(pair.parent, parent_question(pair.child, pair.parent_type)) for pair in PEOPLE.pairs}
    assert sum(asked.values()) == 5 + 3 * 2 * len(sampled) + 6 + len(sampled)
    records = [json.loads(line) for line in (tmp_path / "run" / "records.00000.jsonl").read_text("utf-8").splitlines()]
    assert len({record["id"] for record in records}) == len(records)
    assert "sk-secret" not in "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "run").iterdir())
    with (tmp_path / "run" / "parent_child_pairs.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    assert [(row["child"], row["can_reverse"]) for row in pairs] == [("Ada Example", "True"), ("Bo Sample", "False")]


def test_what_was_answered_before_a_failure_is_not_asked_again(tmp_path):
    with serving(chat) as server:
        server.faults += [None] * 9 + [(500, {}, b"")] * 6
        with pytest.raises(ServerError, match="no answer in 3 tries"):
            run_celebrities(request(server, tmp_path / "run", tries=3))
        kept = sum(1 for _ in (tmp_path / "run" / "records.00000.jsonl").open(encoding="utf-8"))
        assert kept >= 9
        server.faults.clear()
        server.seen.clear()
        whole = run_celebrities(request(server, tmp_path / "run"))
        assert len(server.seen) == 6 + 4 + 24 - kept
    assert whole.symmetric is not None


def test_by_completion_with_logprobs(tmp_path):
    with serving(completion) as server:
        result = run_celebrities(request(server, tmp_path / "run", as_chat=False, logprobs=True))
        assert all(asked["stop"] == ["\n"] for _, _, asked in server.seen if not asked.get("echo"))
    found = result.symmetric
    assert found is not None
    assert found.parent.logprob is not None
    lengths = [len(completion_target(pair.parent)) for pair in PEOPLE.pairs]
    assert found.parent.logprob.mean == pytest.approx(-0.5 * ((lengths[0] + lengths[1]) / 2 + sum(lengths[2:])) / 3)
    assert found.unmarked is not None


def test_servers_that_cannot_score(tmp_path):
    def bare(asked):
        return [{"text": asked["prompt"] + "x" if asked.get("echo") else "x", "logprobs": None}] * asked["n"]

    with serving(bare) as server:
        with pytest.raises(ServerError, match="no log-probabilities"):
            run_celebrities(request(server, tmp_path / "a", as_chat=False, logprobs=True))
        assert len(server.seen) == 1  # before anything else is asked
        with pytest.raises(ServerError, match="in a chat"):
            run_celebrities(request(server, tmp_path / "b", logprobs=True))


def test_the_estimate_is_shown_first_and_may_be_refused(tmp_path):
    shown = []

    def no(estimate):
        shown.append(estimate)
        raise ConfigError("Not started.")

    with serving(chat) as server:
        asked = request(server, tmp_path / "run")
        changed = CelebrityRequest(asked.answerer, PEOPLE, asked.out, asked.settings, 2, Prices(1.0, 2.0), no)
        with pytest.raises(ConfigError):
            run_celebrities(changed)
        assert server.seen == []
    (estimate,) = shown
    # 6 greedy parents, 4 greedy children, 8 sampled questions, and 6 children of parents not known yet.
    assert estimate.requests == 6 + 4 + 8 + 6
    assert estimate.written == 24 * (10 + 3 * 14)
    assert estimate.dollars == pytest.approx((estimate.read + 2 * estimate.written) / 1000)
    assert "about $" in str(estimate)


def test_settings_that_differ_and_lists_of_names(tmp_path):
    with serving(chat) as server:
        run_celebrities(request(server, tmp_path / "run", protocol="published"))
        with pytest.raises(RunConflict, match="temperature"):
            run_celebrities(request(server, tmp_path / "run", temperature=0.5))
        asked = request(server, tmp_path / "names")
        names = CelebrityRequest(asked.answerer, People(("Ada Example",), ()), asked.out, asked.settings)
        with pytest.raises(ConfigError, match="names alone"):
            run_celebrities(names)


def test_a_tiny_model_answers_alike_in_any_company(tiny_lm):
    lm = tiny_lm("llama", max_position_embeddings=2048)
    asks = [Ask(q, (0, 1), 1.0, 5, 7) for q in ("Who is A's mother?", "Name a child of Bo Sample.", "Who?")]
    asks += [Ask("Who is A's mother?", (0,), 0.0, 5, 7)]
    together = LocalModel(lm, chat=False, batch=8).ask(asks)
    alone = LocalModel(lm, chat=False, batch=1)
    assert [alone.ask([one])[0] for one in reversed(asks)][::-1] == together
    assert [len(texts) for texts in together] == [2, 2, 2, 1]


SYSTEMLESS = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]"
)


@pytest.mark.parametrize("template", [SYSTEMLESS, SYSTEMLESS.replace("raise_exception('no system')", "'SYSTEM '")])
def test_a_tiny_model_in_its_own_chat_template(tiny_lm, template):
    lm = copy.copy(tiny_lm("llama", max_position_embeddings=2048))
    lm.tokenizer = copy.deepcopy(lm.tokenizer)
    assert not has_chat_template(lm)
    lm.tokenizer.chat_template = template
    assert has_chat_template(lm)
    model = LocalModel(lm, chat=True)
    text = model._chat_text("Who is it?")
    assert text.endswith("[user] Who is it?\n[assistant]")
    assert text.count("famous people") == 1  # the system message, or the same said by the user
    assert model.identity()["protocol"] == "chat"
    assert len(model.ask([Ask("Who is it?", (0, 1, 2), 1.0, 4, 0)])[0]) == 3


def test_logprobs_of_a_tiny_model_are_those_of_the_whole_text(tiny_lm):
    from obverse.measuring.likelihood import likelihoods

    lm = tiny_lm("gpt2", n_positions=2048)
    scored = [
        Scored(child_question(name), "Ada Example", marked)
        for name in ("Eve", "Neal Proof")
        for marked in (True, False)
    ]
    pairs = [(completion_prompt(one.question, marked=one.marked), " Ada Example") for one in scored]
    expected = [one.total for one in likelihoods(lm, pairs)]
    assert LocalModel(lm, chat=False).logprobs(scored) == pytest.approx(expected, abs=1e-3)
