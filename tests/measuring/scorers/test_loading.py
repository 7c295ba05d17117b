"""Scorers by name, by module, by file."""

import sys

import pytest

from obverse.core import ConfigError, UnknownName
from obverse.measuring.scorers.loading import load_scorer
from obverse.measuring.scorers.pep8 import PEP8

OWN = '''
from obverse.core import Config

class LoudConfig(Config):
    times: int = 1
    """How often each capital counts."""

class Loud:
    config_type, unit, segments = LoudConfig, "capitals a character", "sentences"
    def __init__(self, config): self.config = config
    def score(self, texts): return [self.config.times * sum(map(str.isupper, t)) / max(1, len(t)) for t in texts]

class Bare:
    unit = "x"

VALUE = 3
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "loud.py"
    path.write_text(OWN)
    return path


def test_by_name_and_by_module():
    for name in ("pep8", "obverse.measuring.scorers.pep8:PEP8"):
        scorer = load_scorer(name, {"max_line_length": 100})
        assert isinstance(scorer, PEP8)
        assert scorer.config.max_line_length == 100


def test_by_file(own):
    assert load_scorer(f"{own}:Loud", {"times": 2}).score(["Ab", ""]) == [1, 0]
    assert load_scorer(f"{own}:Loud").config_type is not load_scorer("pep8").config_type


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{own}:Quiet", "no class 'Quiet'"),
        ("{own}:VALUE", "no class 'VALUE'"),
        ("{own}:Bare", "lacks config_type .*, segments, score"),
        ("{own}s.py:Loud", "no file"),
        ("no_such_package.thing:X", "no module 'no_such_package.thing'"),
        ("obverse.measuring.no_such:X", "no module 'obverse.measuring.no_such'"),
        (":X", "names no module"),
    ],
)
def test_what_is_not_there(own, name, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_scorer(name.format(own=own))
    assert caught.value.hint


def test_a_wrong_name_or_setting():
    with pytest.raises(UnknownName, match="Unknown scorer 'pep'"):
        load_scorer("pep")
    with pytest.raises(ConfigError, match="max_length"):
        load_scorer("pep8", {"max_length": 3})


def test_a_file_that_fails_shows_its_own_error_and_leaves_nothing(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import no_such_thing_at_all\n")
    before = set(sys.modules)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing_at_all"):
        load_scorer(f"{path}:X")
    assert set(sys.modules) == before
