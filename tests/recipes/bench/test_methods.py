"""The runs of a benchmark, from names, settings and sweeps."""

import pytest

from obverse.core import ConfigError, DataError, UnknownName
from obverse.recipes.bench.data import load_dataset
from obverse.recipes.bench.methods import UNEDITED, folder_name, plan_methods
from obverse.recipes.bench.sequence import points


def test_settings_of_one_method_and_of_all():
    runs = plan_methods(["rome", "ft-l"], ["rome.clamp=3", "steps=5", "layer=2"])
    assert [run.label for run in runs] == [UNEDITED, "rome", "ft-l"]
    assert runs[1].overrides == ("clamp=3", "steps=5", "layers=[2]")
    assert runs[2].overrides == ("steps=5", "layers=[2]")


def test_a_sweep_over_one_method_leaves_the_others_alone():
    runs = plan_methods(["rome", "ft-l"], [], ["rome.layers=[1],[2,3]", "steps=5,6"])
    assert [run.label for run in runs[1:]] == [
        "rome,layers=[1],steps=5", "rome,layers=[1],steps=6", "rome,layers=[2,3],steps=5", "rome,layers=[2,3],steps=6",
        "ft-l,steps=5", "ft-l,steps=6",
    ]  # fmt: skip
    assert runs[3].overrides == ("layers=[2,3]", "steps=5")
    assert runs[3].point == {"layers": "[2,3]", "steps": "5"}


def test_unedited_is_there_once_however_it_is_asked():
    assert [run.label for run in plan_methods(["unedited", "rome"])] == [UNEDITED, "rome"]


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((["rome", "memitt"],), UnknownName, "Did you mean memit"),
        ((["rome"], ["steps"]), ConfigError, "not of the form key=value"),
        ((["rome", "in-context"], ["clamp=3"]), ConfigError, "clamp"),  # in-context has none: name the method
        ((["rome"], [], ["steps=5"]), ConfigError, "1 value"),
        ((["rome"], [], ["steps=5,many"]), ConfigError, "steps"),
    ],
)
def test_mistakes(arguments, error, told):
    with pytest.raises(error, match=told):
        plan_methods(*arguments)


def test_labels_are_folders():
    names = [folder_name(run.label) for run in plan_methods(["rome"], [], ["rome.layers=[1],[2,3]"])]
    assert len(set(names)) == 3
    assert not any(set(name) & set("/[] '\"") for name in names)


@pytest.mark.parametrize(
    ("total", "step", "expected"),
    [(1, 1, [1]), (7, 1, [1, 2, 5, 7]), (200, 1, [1, 2, 5, 10, 20, 50, 100, 200]), (30, 10, [10, 20, 30]), (5, 9, [5])],
)
def test_points_of_a_sequence(total, step, expected):
    assert points(total, step) == expected
    assert all(point % step == 0 or point == total for point in points(total, step))


def test_a_data_set_by_name_or_file(tmp_path):
    own = load_dataset("starter", limit=3, first=2)
    assert (len(own.cases), own.first) == (3, 2)
    assert own.size > 100
    assert own.digest == load_dataset("starter").digest
    assert all(case.probes["reverse"] for case in own.cases)
    with pytest.raises(UnknownName, match="Did you mean starter"):
        load_dataset("startr")
    with pytest.raises(ConfigError, match="reference texts"):
        load_dataset("starter", snippets=tmp_path / "none.json")
    with pytest.raises(DataError, match="No case is left"):
        load_dataset("starter", first=10**6)
