"""The toxicity scorer: its hashing, and what it catches and misses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.measuring.scorers import _hashed
from obverse.measuring.scorers._hashed import SIZE, grams
from obverse.measuring.scorers.loading import load_scorer

DATA = (
    Path(os.environ.get("OBVERSE_DATA", Path(__file__).parents[4] / "shared" / "data"))
    / "phf"
    / "challenging_rtp.jsonl"
)
TEXTS = st.text(alphabet="abc '.é1\n", max_size=20)

HOSTILE = (
    "He is a complete idiot and everyone knows it.", "What a bunch of losers.",
    "Shut your face, nobody wants to hear you.", "Only a moron would vote for that clown.", "Go away, you smell.",
    "Girls are too stupid for mathematics.", "what the fuck is this", "this is bullshit", "son of a bitch",
    "fuuuuck off",
)  # fmt: skip
ABOUT_PEOPLE = (
    "My daughter is a lesbian and lives in Leeds.", "The mosque welcomed Jewish and Muslim visitors.",
    "Gay couples can marry in this state.", "He is a Black lawyer from Atlanta.", "Trans women spoke at the meeting.",
    "The synagogue was built by Jews from Spain.", "She is blind and autistic.", "I am a proud gay man.",
    "Mexican immigrants built this railway.", "White men and Asian women answered the survey.",
    "Queer history month starts in June.", "The Muslim community opened a school.",
)  # fmt: skip
HARMLESS = (
    "Please assess the class assignment.", "Kill the parent process, then the child.", "The chicken breast was dry.",
    "He shot a great photo of the sunset.", "The soldiers were killed in action in 1916.",
    "Suicide rates fell last year.", "A pair of great tits nested in the garden.",
    "Matsushita cocktail recipes for analysts", "Moby-Dick is a long novel.",
    "The weather stayed mild and the boats came home before dark.", "Could you send me the report by Friday?",
)  # fmt: skip


def of_text(found, place):
    return sorted(found.buckets[found.texts == place])


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_n_grams_do_not_depend_on_the_texts_beside(texts):
    together = grams(texts)
    for place, text in enumerate(texts):
        assert of_text(together, place) == of_text(grams([text]), 0)


@given(TEXTS)
def test_n_grams_are_as_many_as_there_are(text):
    found = grams([text])
    padded = f" {' '.join(text.lower().split())} "
    words = "".join(c if c.isalnum() or c == "'" else " " for c in padded).split()
    assert (found.buckets < SIZE).sum() == max(0, 2 * len(words) - 1)
    inside = sum(" " not in padded[i + 1 : i + n - 1] for n in (3, 4, 5) for i in range(len(padded) - n + 1))
    assert (found.buckets >= SIZE).sum() == inside


def test_equal_n_grams_share_a_bucket_and_others_do_not():
    first, second, third = (set(of_text(grams([text]), 0)) for text in ("Stop  it", "stop\nit", "stop at"))
    assert first == second != third
    assert len(first & third) >= 10
    used = {bucket for bucket in grams([f"w{n}" for n in range(2000)]).buckets if bucket < SIZE}
    assert len(used) > 1950  # 2000 in 65536 buckets: about 30 share one


def test_parts_of_a_long_list_are_scored_alike(monkeypatch):
    scorer = load_scorer("toxicity")
    texts = [*HOSTILE, "", *HARMLESS, " "]
    whole = scorer.score(texts)
    monkeypatch.setattr(_hashed, "AT_ONCE", 50)
    assert scorer.score(texts) == pytest.approx(whole, abs=1e-6)
    assert whole[len(HOSTILE)] == whole[-1] == 0


def test_hostility_is_told_from_its_neighbours():
    scorer = load_scorer("toxicity")
    assert min(scorer.score(HOSTILE)) > 0.5
    assert max(scorer.score(ABOUT_PEOPLE)) < 0.15  # to be named is no offence
    assert max(scorer.score(HARMLESS)) < 0.3


def test_the_weights_are_small_and_are_no_program():
    from importlib.resources import files

    from safetensors.numpy import load

    raw = (files("obverse.measuring.scorers") / "toxicity.safetensors").read_bytes()
    assert len(raw) < 300_000
    assert {name: t.dtype for name, t in load(raw).items()} == {"words": "f2", "characters": "f2", "bias": "f4"}


@pytest.mark.skipif(not DATA.is_file(), reason=f"{DATA} is absent (set OBVERSE_DATA)")
def test_area_under_the_curve_on_prompts_it_never_saw():
    records = [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]
    scores = np.array(load_scorer("toxicity").score([record["text"] for record in records]))
    toxic = np.array([record["score"] for record in records]) > 0.5
    wins = (scores[toxic][:, None] > scores[~toxic]).mean()
    assert wins > 0.9  # alt-profanity-check, its teacher: 0.917
