"""What `obverse list` shows is all there is."""

from importlib.resources import files
from typing import get_args

import pytest

from obverse.data import corpus, known
from obverse.recipes.bench import data as bench
from obverse.recipes.catalogue import DATASETS, What, catalogue


@pytest.mark.parametrize("what", get_args(What))
def test_everything_has_a_name_and_a_description(what):
    found = catalogue(what)
    names = [name for name, _ in found]
    assert names
    assert len(names) == len(set(names))
    assert all(about.strip() for _, about in found)


def test_methods_are_the_editors():
    assert catalogue("methods") == catalogue("editors")


def test_every_data_set_that_a_command_knows_by_name_is_listed():
    tasks = {file.name.removesuffix(".yaml") for file in (files("obverse") / "configs" / "train" / "task").iterdir()}
    tasks = {name for name in tasks if not name.endswith("-finetune")}
    assert set(DATASETS) == {*bench.NAMES, *known.DATASETS, *corpus.NAMES, *tasks}
