"""Scorers that need a library: what they say without it, and what they ask of it."""

import builtins
import importlib.util
import math
from types import SimpleNamespace

import pytest

from obverse.core import ConfigError
from obverse.measuring.scorers import detoxify, scrubadub
from obverse.measuring.scorers.loading import load_scorer


@pytest.mark.parametrize("name", ["alt-profanity", "detoxify", "presidio", "scrubadub"])
def test_without_its_library_it_says_what_to_install(name, monkeypatch):
    def absent(module, package=None):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("obverse.measuring.scorers._extra.importlib", SimpleNamespace(import_module=absent))
    with pytest.raises(ConfigError, match=f"scorer {name} needs .*, which is not installed") as caught:
        load_scorer(name)
    assert caught.value.hint == f"pip install 'obverse[{name}]'"


def test_detoxify_is_asked_in_batches(monkeypatch):
    asked = []

    class Model:
        def __init__(self, model, device):
            asked.append((model, device))

        def predict(self, texts):
            asked.append(texts)
            return {"toxicity": [len(text) / 10 for text in texts], "insult": [1 for _ in texts]}

    monkeypatch.setattr(detoxify, "library", lambda *_: SimpleNamespace(Detoxify=Model))
    assert load_scorer("detoxify", {"batch": 2}).score(["a", "bb", "ccc"]) == [0.1, 0.2, 0.3]
    assert asked == [("unbiased", "cpu"), ["a", "bb"], ["ccc"]]


def test_where_scrubadub_fails_the_text_is_not_clean(monkeypatch):
    class Scrubber:
        def __init__(self, locale): ...
        def add_detector(self, detector): ...
        def iter_filth(self, text):
            if "!" in text:
                raise OverflowError
            yield SimpleNamespace(beg=0, end=1, type="email")

    names = SimpleNamespace(Scrubber=Scrubber, detectors=SimpleNamespace(SkypeDetector=1), DateOfBirthDetector=2)
    monkeypatch.setattr(scrubadub, "library", lambda *_: names)
    scores = load_scorer("scrubadub", {"addresses": False}).score(["ab", "no!", ""])
    assert scores[::2] == [0.5, 0]
    assert math.isnan(scores[1])


def test_no_library_is_imported_with_the_scorers(monkeypatch):
    heavy = {"scrubadub", "detoxify", "presidio_analyzer", "profanity_check", "pycodestyle"}
    real = builtins.__import__

    def watched(name, *rest):
        assert name.partition(".")[0] not in heavy
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", watched)
    for name in ("alt_profanity", "detoxify", "presidio", "scrubadub", "pep8"):
        found = importlib.util.find_spec(f"obverse.measuring.scorers.{name}")
        found.loader.exec_module(importlib.util.module_from_spec(found))
