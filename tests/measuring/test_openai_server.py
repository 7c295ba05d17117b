"""The client against a real server on this machine: what it asks, and what it survives."""

import math

import pytest

from obverse.core import ConfigError
from obverse.measuring.openai_server import CompletionServer, ServerError, ServerSource
from obverse.measuring.reference_kl import Drawn, cached_draws
from protocol_server import serving

pytestmark = pytest.mark.enable_socket

KEY = "sk-very-secret"


def answer(asked):
    """Write "ab." after any prompt, a character a token, each of log-probability minus its place."""
    text = "ab."[: asked["max_tokens"]]
    whole = (asked["prompt"] if asked.get("echo") else "") + text
    values = [None if asked.get("echo") and i == 0 else -float(i + 1) for i in range(len(whole))]
    told = {"tokens": list(whole), "token_logprobs": values}
    choice = {"text": whole, "finish_reason": "length", "logprobs": told if "logprobs" in asked else None}
    return [choice] * asked["n"]


@pytest.fixture
def server():
    with serving(answer) as made:
        yield made


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(server, waits):
    return CompletionServer(server.url, "small", key=KEY, timeout=60.0, tries=4, sleep=waits.append)


def test_what_is_asked_and_given(server, client):
    first, second = client.complete("Once", n=2, max_tokens=2, temperature=0.5, top_p=0.9, seed=2**40 + 3, stop=["\n"])
    assert (first.text, second.text, first.tokens) == ("ab", "ab", ())
    path, headers, asked = server.seen[0]
    assert path == "/v1/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert asked == {"model": "small", "prompt": "Once", "n": 2, "max_tokens": 2, "temperature": 0.5, "top_p": 0.9,
                     "seed": 3, "stop": ["\n"]}  # fmt: skip
    (told,) = client.complete("Once", logprobs=True)
    assert told.tokens == ("a", "b", ".")
    assert told.logprobs == (-1, -2, -3)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ((429, {"Retry-After": "17"}, b"slow down"), 17),
        ((429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""), 1),
        ((429, {"Retry-After": "9999"}, b""), 60),
        ((500, {}, b"oops"), 1),
        ((503, {}, b""), 1),
        ((200, {}, b'{"choices": []}'), 1),
        ((200, {}, b"[1, 2]"), 1),
        ("truncated", 1),
        ("half", 1),
        ("killed", 1),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_moment_of_trouble_is_survived(server, client, waits, fault, expected):
    server.faults.append(fault)
    assert client.complete("Once")[0].text == "ab."
    assert waits == [expected]
    assert len(server.seen) == 2


def test_a_server_that_falls_silent_is_asked_again(server, waits):
    server.faults.append("silent")
    hasty = CompletionServer(server.url, "small", timeout=1.0, sleep=waits.append)
    assert hasty.complete("Once")[0].text == "ab."
    assert waits[0] == 1


def test_lasting_trouble_ends_after_so_many_tries(server, client, waits, caplog):
    caplog.set_level("INFO")
    server.faults += [(500, {}, KEY.encode())] * 9
    with pytest.raises(ServerError, match="no answer in 4 tries; the last time: status 500") as caught:
        client.complete("Once")
    assert waits == [1, 2, 4]
    assert KEY not in f"{caught.value} {client!r} {caplog.text}"


def test_no_server_at_all(waits):
    with serving(answer) as gone:
        url = gone.url
    with pytest.raises(ServerError, match="no answer in 2 tries"):
        CompletionServer(url, "small", tries=2, sleep=waits.append).complete("Once")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ((401, {}, b'{"error": "bad key"}'), "OPENAI_API_KEY"),
        ((404, {}, b"no such model"), "/v1"),
        ((400, {}, b"echo is not supported"), "echo is not supported"),
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""), "points to"),
    ],
    ids=str,
)
def test_a_refusal_is_final(server, client, waits, fault, said):
    server.faults.append(fault)
    with pytest.raises(ServerError, match=said):
        client.complete("Once")
    assert waits == []
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [("localhost:8000", "no address"), ("http://a:b@host/v1", "no password"), ("http://example.org/v1", "unencrypted")],
)
def test_addresses_that_are_refused(url, said):
    with pytest.raises(ConfigError, match=said):
        CompletionServer(url, "small", key=KEY)


def test_a_source_of_texts(server, client, tmp_path):
    source = ServerSource(client)
    drawn = cached_draws(source, 11, 3, 0, tmp_path)
    assert drawn == [Drawn("ab.", 3, (), -6.0)] * 11
    assert [asked["n"] for _, _, asked in server.seen] == [8, 3]
    assert len({asked["seed"] for _, _, asked in server.seen}) == 2
    assert cached_draws(source, 11, 3, 0, tmp_path) == drawn
    assert source.logprobs(drawn, by_ids=False) == [-6.0] * 11
    assert len(server.seen) == 2
    assert KEY not in "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.json"))


def test_texts_of_others_are_given_back_with_their_logprobs(client):
    others = [Drawn("xyz", 3), Drawn("", 1)]
    assert ServerSource(client, prompt="<s>").logprobs(others, by_ids=False) == [-(4.0 + 5 + 6), 0.0]
    with pytest.raises(ServerError, match="first token"):
        ServerSource(client).logprobs(others, by_ids=False)


def test_an_end_token_that_is_listed_is_not_counted():
    def ended(asked):
        told = {"tokens": ["hi", "</s>"], "token_logprobs": [-1.0, -5.0]}
        return [{"text": "hi", "finish_reason": "stop", "logprobs": told}] * asked["n"]

    with serving(ended) as server:
        (drawn,) = ServerSource(CompletionServer(server.url, "small")).draw(1, 9, 0)
    assert drawn == Drawn("hi", 1, (), -1.0)


def test_a_server_without_logprobs():
    with serving(lambda asked: [{"text": "hi", "logprobs": None}] * asked["n"]) as server:
        with pytest.raises(ServerError, match="no log-probabilities"):
            ServerSource(CompletionServer(server.url, "small")).draw(1, 9, 0)
        assert math.isclose(len(server.seen), 1)
