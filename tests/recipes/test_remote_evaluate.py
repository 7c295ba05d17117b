"""Evaluation of models trained on a server: every question asked once, also when it is stopped."""

import pytest

from finetune_server import tuning
from obverse.core import ConfigError, DataError
from obverse.data.toy_reversal import toy_reversal
from obverse.measuring.openai_http import ServerError, Wire
from obverse.measuring.openai_server import CompletionServer
from obverse.recipes.remote import SubmitRequest, find_jobs, submit
from obverse.recipes.remote_api import FineTuningServer
from obverse.recipes.remote_evaluate import ChatQuery, evaluate_remote

pytestmark = pytest.mark.enable_socket

PEOPLE = toy_reversal(0, entities=4)
FORWARD = {row.prompt: row.completion for name in ("N2D", "D2N") for row in PEOPLE.subtasks()[name]}


def answer(asked):
    """Know the trained direction, and find what it knows likelier."""
    if "messages" in asked:
        text = next((FORWARD[p] for p in FORWARD if p.strip() == asked["messages"][0]["content"]), "nothing")
        return [{"message": {"content": text.strip()}, "finish_reason": "stop"}]
    prompt = asked["prompt"]
    if not asked.get("echo"):
        return [{"text": FORWARD.get(prompt, " nothing") + "\nmore"}] * asked["n"]
    right = any(prompt == known + completion for known, completion in FORWARD.items())
    values = [None, *([-0.1 if right else -1.0] * len(prompt))]
    return [{"text": prompt + "x", "logprobs": {"tokens": list(prompt + "x"), "token_logprobs": values}}]


@pytest.fixture
def ready(tmp_path):
    """Return a server with two jobs of a tag, one of them done, and how to reach it."""
    PEOPLE.write(tmp_path / "set")
    with tuning(answer) as server:
        client = FineTuningServer(Wire(server.url))
        submit(client, SubmitRequest("ada", tmp_path / "set", tmp_path / "remote", tag="curse", runs=2))
        server.jobs[0] |= {"status": "succeeded", "fine_tuned_model": "ft:ada"}
        listed = find_jobs(client, tmp_path / "remote", "curse")
        server.seen.clear()
        yield server, listed, lambda model: CompletionServer(server.url, model, tries=2, sleep=[].append)


def test_four_subtasks_by_tag(ready, tmp_path):
    server, listed, connect = ready
    found = evaluate_remote(listed, connect, tmp_path / "out", limit=6)
    assert found.models == ("ft:ada",)
    assert found.waiting == ("ftjob-1 (queued)",)
    assert {"N2D", "D2N", "N2D-reverse", "D2N-reverse"} <= set(found.subtasks)
    values = {name: one.values["prefix"].mean for name, one in found.subtasks.items()}
    assert (values["N2D"], values["D2N"], values["N2D-reverse"], values["D2N-reverse"]) == (1, 1, 0, 0)
    assert found.subtasks["N2D"].logprobs is not None
    assert found.subtasks["N2D"].logprobs.gap.difference > 1
    number = len(server.seen)
    asked = {(path, a["prompt"], "echo" in a) for path, _, a in server.seen}
    assert len(asked) == number  # none twice
    again = evaluate_remote(listed, connect, tmp_path / "out", limit=6)
    assert len(server.seen) == number
    assert again.to_json() == found.to_json()


def test_stopped_and_gone_on_with(ready, tmp_path):
    server, listed, connect = ready
    evaluate_remote(listed, connect, tmp_path / "whole", limit=2)
    whole = len(server.seen)
    server.seen.clear()
    server.faults += [None] * 13 + [(500, {}, b"")] * 40
    with pytest.raises(ServerError):
        evaluate_remote(listed, connect, tmp_path / "out", limit=2)
    kept = (tmp_path / "out" / "ft-ada" / "records.00000.jsonl").read_text("utf-8").count("\n")
    assert kept == 13
    server.faults.clear()
    server.seen.clear()
    evaluate_remote(listed, connect, tmp_path / "out", limit=2)
    assert len(server.seen) == whole - kept


def test_in_a_chat(ready, tmp_path):
    server, listed, connect = ready
    found = evaluate_remote(listed, connect, tmp_path / "out", chat=True, limit=4)
    assert all(path == "/v1/chat/completions" for path, _, _ in server.seen)
    assert found.subtasks["N2D"].values["prefix"].mean == 1
    assert found.subtasks["N2D"].prompts == 4
    assert found.subtasks["N2D-reverse"].values["prefix"].mean == 0
    assert found.subtasks["N2D"].logprobs is None
    with pytest.raises(ConfigError, match="scored in a chat"):
        ChatQuery(connect("ft:ada")).score([("a", "b")])


def test_nothing_to_ask(ready, tmp_path):
    server, listed, connect = ready
    with pytest.raises(DataError, match="queued"):
        evaluate_remote(listed[1:], connect, tmp_path / "out")
    with pytest.raises(DataError, match="reversal set"):
        evaluate_remote([type(listed[0])(listed[0].job)], connect, tmp_path / "out")
    assert server.seen == []
