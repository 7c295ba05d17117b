"""A profile's laws: what is saved is read again; the profile of another model or method is never used."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, DataError, Interval
from obverse.editing.profile import (
    Prediction,
    Profile,
    Scores,
    asks_auto,
    find_profile,
    profile_path,
    without_auto,
)
from obverse.model.fingerprint import Fingerprint

shares = st.floats(0, 1)
intervals = st.builds(Interval, shares, shares, shares, st.integers(1, 100))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
predictions = st.builds(
    Prediction,
    st.sampled_from(["mlp", "hidden"]),
    st.dictionaries(st.integers(0, 99), intervals, min_size=1),
    st.none() | intervals,
    st.integers(0, 99),
    intervals,
)
profiles = st.builds(
    Profile,
    model=st.text(),
    fingerprint=st.builds(Fingerprint, hashes, hashes),
    method=st.just("rome"),
    settings=st.dictionaries(st.text(), st.none() | st.booleans() | shares | st.lists(st.integers())),
    n_layers=st.integers(1, 100),
    best=st.integers(0, 99),
    alike=st.lists(st.integers(0, 99)).map(tuple),
    table=st.dictionaries(st.integers(0, 99), st.builds(Scores, *[intervals] * 4, st.none() | intervals)),
    unedited=st.builds(Scores, *[intervals] * 4),
    facts=st.integers(1, 100),
    facts_hash=hashes,
    source=st.text(),
    predictions=st.lists(predictions, max_size=2).map(tuple),
    version=st.text(),
    date=st.just("2026-11-21T05:12:40+00:00"),
)
BAR = Interval(0.5, 0.4, 0.6, 8)
PLAIN = Profile(
    "tiny", Fingerprint("a" * 64, "b" * 64), "rome", {"steps": 20, "clamp": 1.25}, 3, 2, (1, 2),
    {layer: Scores(BAR, BAR, BAR, BAR) for layer in (0, 2)}, Scores(BAR, BAR, BAR, BAR), 8, "c" * 64, "builtin", (),
    "0.1.0", "2026-11-21T05:12:40+00:00",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("profiles")


@settings(max_examples=30)
@given(profiles)
def test_what_is_saved_is_read_again(folder, profile):
    path = folder / "one.json"
    profile.save(path)
    assert Profile.load(path) == profile


@settings(max_examples=30)
@given(profiles)
def test_the_profile_of_another_model_is_never_used(tiny_lm, folder, profile):
    lm = tiny_lm("llama")
    profile.save(profile_path(lm.fingerprint, "rome", folder))  # as if the short names were the same
    with pytest.raises(ConfigError, match="has no profile for rome"):
        find_profile(lm, "rome", folder)
    own = replace(profile, fingerprint=lm.fingerprint)
    own.save(profile_path(lm.fingerprint, "rome", folder))
    assert find_profile(lm, "rome", folder) == own


def test_two_models_and_two_methods_have_files_of_their_own(tiny_lm, tmp_path):
    paths = {profile_path(tiny_lm(f).fingerprint, m, tmp_path) for f in ("llama", "gpt2") for m in ("rome", "other")}
    assert len(paths) == 4
    replace(PLAIN, fingerprint=tiny_lm("llama").fingerprint).save(
        profile_path(tiny_lm("llama").fingerprint, "rome", tmp_path)
    )
    for family, method in (("gpt2", "rome"), ("llama", "other")):
        with pytest.raises(ConfigError) as raised:
            find_profile(tiny_lm(family), method, tmp_path)
        assert f"obverse sweep-layers --model tiny-{family} --method {method}" in raised.value.hint


def test_a_profile_says_what_it_rests_on():
    assert str(PLAIN) == "measured profile of 2026-11-21, 8 facts at 2 of 3 layers"
    assert PLAIN.differences({"steps": 20, "clamp": 1.25, "layers": [2]}) == ()
    assert PLAIN.differences({"steps": 30, "clamp": 1.25, "seed": 1}) == ("seed", "steps")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"obverse_profile": 1}', '{"obverse_profile": 2}', "\xff"])
def test_a_file_that_is_no_profile(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.json"):
        Profile.load(tmp_path / "x.json")


@pytest.mark.parametrize("change", [{"best": None}, {"table": {"0": {"score": 1}}}, {"fingerprint": {}}, {"new": 1}])
def test_a_damaged_profile(tmp_path, change):
    record = json.loads(json.dumps({**PLAIN.to_json(), **change}))
    if change.get("best", 0) is None:
        del record["best"]
    (tmp_path / "x.json").write_text(json.dumps(record))
    with pytest.raises(DataError):
        Profile.load(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("settings", "overrides", "auto"),
    [
        ({}, (), False),
        ({"layers": "auto"}, (), True),
        ({"layers": [3]}, (), False),
        ({"layers": [3]}, ("layers=auto",), True),
        ({"layers": "auto"}, ("layers=[3]",), False),
        ({}, ("layers=auto", "layers=[3]"), False),
        ({"lookup": "auto"}, ("steps=3",), False),
    ],
)
def test_the_last_word_on_layers_counts(settings, overrides, auto):
    assert asks_auto(settings, overrides) is auto
    kept, others = without_auto(settings, overrides)
    assert not asks_auto(kept, others)
    assert kept == {key: value for key, value in settings.items() if (key, value) != ("layers", "auto")}
    assert others == [text for text in overrides if text != "layers=auto"]
