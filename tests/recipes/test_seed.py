"""A run's seed is the method's, whatever the method calls it; a method without one refuses it."""

import pytest

from obverse.core import ConfigError, UnknownName
from obverse.editing import editors
from obverse.recipes.plan import check_settings
from obverse.recipes.seed import seed_settings

WITHOUT = {"ft", "ft-l", "ft-attn", "ft-m", "kn", "mend", "ke"}


@pytest.mark.parametrize("method", editors.names())
def test_every_method_takes_a_seed_or_says_that_it_has_none(method):
    if method in WITHOUT:
        with pytest.raises(ConfigError, match=f"{method} samples nothing"):
            seed_settings(method, 3)
    else:
        settings = seed_settings(method, 3)
        check_settings(method, settings, ())
        config = editors.load(method).config_type(**settings)
        own, sampled = getattr(config, "seed", None), getattr(config, "contexts", None)
        assert {own, sampled.seed if sampled else None} - {None} == {3}
    assert seed_settings(method, None) == {}


def test_an_unknown_method():
    with pytest.raises(UnknownName, match="Did you mean rome"):
        seed_settings("roma", 3)
