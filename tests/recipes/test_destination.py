"""What cannot be written where it was asked for is refused before any work."""

import os

import pytest

from obverse.core import ConfigError, ObverseError
from obverse.recipes.destination import EDITS, check_figure, check_file, check_folder


def test_what_is_not_there_yet_may_come(tmp_path):
    check_folder(tmp_path / "a" / "b", overwrite=False, ours=EDITS)
    check_file(tmp_path / "a" / "b.json", overwrite=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_a_file_in_the_way(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ObverseError, match="file is a file, where a folder is to stand"):
        check_folder(tmp_path / "file" / below, overwrite=True, ours=EDITS)
    if below:
        with pytest.raises(ObverseError, match="file is a file, where a folder is to stand"):
            check_file(tmp_path / "file" / below, overwrite=True)


def test_a_folder_in_the_way(tmp_path):
    with pytest.raises(ObverseError, match="is a folder, where a file is to stand"):
        check_file(tmp_path, overwrite=True)


def test_an_older_one_is_replaced_only_if_asked(tmp_path):
    (tmp_path / "edit").mkdir()
    (tmp_path / "edit" / "edit.json").touch()
    (tmp_path / "one.json").touch()
    with pytest.raises(ObverseError, match="exists already") as folder:
        check_folder(tmp_path / "edit", overwrite=False, ours=EDITS)
    with pytest.raises(ObverseError, match="exists already") as file:
        check_file(tmp_path / "one.json", overwrite=False)
    assert folder.value.hint == "Choose another folder with --out, or pass --overwrite."
    assert file.value.hint == "Choose another file with --out, or pass --overwrite."
    check_folder(tmp_path / "edit", overwrite=True, ours=EDITS)
    check_file(tmp_path / "one.json", overwrite=True)


def test_only_our_own_are_replaced(tmp_path):
    check_folder(tmp_path, overwrite=True, ours=EDITS)  # empty
    (tmp_path / "trace-2.safetensors").touch()
    with pytest.raises(ObverseError, match=r"has no edit\.json or obverse\.json\), and is not replaced"):
        check_folder(tmp_path, overwrite=True, ours=EDITS)
    check_folder(tmp_path, overwrite=True, ours=("trace*.safetensors",))


def test_where_nothing_may_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)
    for check in (lambda at: check_folder(at, overwrite=False, ours=EDITS), lambda at: check_file(at, overwrite=False)):
        with pytest.raises(ObverseError, match="cannot be written: permission denied"):
            check(tmp_path / "a" / "b")


def test_a_figure(tmp_path):
    check_figure(tmp_path / "a.svg")
    with pytest.raises(ConfigError, match=r"ending is \.bmp"):
        check_figure(tmp_path / "a.bmp")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(ObverseError, match="is a folder"):
        check_figure(tmp_path / "b.png")
