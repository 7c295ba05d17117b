"""The same questions asked of a server: answers, log-probabilities by characters, and what cannot be had."""

import pytest

from obverse.data.reversal import Prompt
from obverse.measuring.openai_server import CompletionServer, ServerError
from obverse.measuring.reversal import Served, evaluate_prompts
from protocol_server import serving

pytestmark = pytest.mark.enable_socket

ROWS = [Prompt("Who is Ann? She is", " a harper.", 0), Prompt("Who is Ben? He", " is a cook.", 1)]


def answer(asked):
    """Write the prompt's first word and more lines; a token is two characters, of log-probability minus its place."""
    text = f" {asked['prompt'].split()[0]}. It\nis so."[: 4 * asked["max_tokens"]]
    whole = (asked["prompt"] if asked.get("echo") else "") + text
    tokens = [whole[i : i + 2] for i in range(0, len(whole), 2)]
    values = [None if asked.get("echo") and i == 0 else -float(i) for i in range(len(tokens))]
    told = {"tokens": tokens, "token_logprobs": values}
    return [{"text": whole, "finish_reason": "length", "logprobs": told if "logprobs" in asked else None}]


@pytest.fixture
def asked():
    """Return a function that asks a server which answers by a function, and the requests it saw."""

    def ask(how, rows=ROWS, **given):
        with serving(how) as server:
            client = CompletionServer(server.url, "small", timeout=60.0, tries=2, sleep=lambda _: None)
            return evaluate_prompts(Served(client), rows, **given), [request for _, _, request in server.seen]

    return ask


def test_answers_and_log_probabilities(asked):
    found, requests = asked(answer, [*ROWS, *ROWS], negatives=[" a cook."] * 4, new_tokens=40, one_line=True)
    assert [one.completion for one in found[:2]] == [" Who. It", " Who. It"]
    assert found[:2] == found[2:]
    assert len(requests) == 2 + 4  # each question and each pair once
    assert {(r["temperature"], r["max_tokens"]) for r in requests if "echo" not in r} == {(0.0, 40)}
    for row, one in zip(ROWS, found, strict=False):
        n, end = len(row.prompt), len(row.prompt + row.completion)
        inside = [i for i in range(end) if 2 * i + 2 > n and 2 * i < end]  # a token across the border counts
        assert (one.logprob, one.tokens) == (-sum(inside), len(inside))
        assert "greedy" not in one.verdicts
    assert asked(answer, one_line=False, score=False)[0][0].completion == " Who. It\nis so."


def no_logprobs(asked):
    return [{**one, "logprobs": None} for one in answer(asked)]


def no_echo(asked):
    return answer({**asked, "echo": False})


def byte_tokens(asked):
    (one,) = answer(asked)
    told = one["logprobs"] and {**one["logprobs"], "tokens": ["bytes:\\xe2"] * len(one["logprobs"]["tokens"])}
    return [{**one, "logprobs": told}]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (no_logprobs, "gives no log-probabilities"),
        (no_echo, "other tokens back.*\n.*echo"),
        (byte_tokens, "other tokens back"),
    ],
)
def test_a_server_without_log_probabilities_is_refused_but_can_write(asked, how, message):
    with pytest.raises(ServerError, match=message):
        asked(how)
    found, _ = asked(how, score=False)
    assert all(one.logprob is None and one.completion for one in found)


def test_the_first_token_of_all_has_no_log_probability(asked):
    with pytest.raises(ServerError, match="first token"):
        asked(answer, [Prompt("W", " ho is Ann?", 0)])


def test_what_was_answered_before_a_failure_is_not_asked_for_again():
    with serving(answer) as server:
        client = CompletionServer(server.url, "small", timeout=60.0, tries=1, sleep=lambda _: None)
        query = Served(client, at_once=1)
        server.faults += [None, None, None, (500, {}, b"")]  # both answers, one score, then a failure
        with pytest.raises(ServerError):
            evaluate_prompts(query, ROWS)
        server.seen.clear()
        found = evaluate_prompts(query, ROWS)
        assert [request["prompt"] for _, _, request in server.seen] == [ROWS[1].prompt + ROWS[1].completion]
        assert found == evaluate_prompts(Served(client), ROWS)
