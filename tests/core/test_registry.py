import sys
from importlib.metadata import EntryPoint

import pytest

from obverse.core import ConfigError, Registry, UnknownName

METHOD = "class {name}:\n    class config_type: pass\n"


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A package with two methods, a private file and a file without a method."""
    folder = tmp_path / "obverse_test_room"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "rome.py").write_text(METHOD.format(name="Rome"))
    (folder / "ft_l.py").write_text("from obverse_test_room.rome import Rome\n" + METHOD.format(name="FtL"))
    (folder / "edit.py").write_text("class Edit: pass\n")
    (folder / "_shared.py").write_text("raise RuntimeError('private files are not loaded')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("method", "obverse_test_room", "config_type", "obverse.test_room")
    for name in [name for name in sys.modules if name.startswith("obverse_test_room")]:
        del sys.modules[name]


def add_entry_point(monkeypatch, name, value):
    entry = EntryPoint(name, value, "obverse.test_room")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry])


def test_a_file_is_a_registration(room):
    assert room.names() == ["ft-l", "rome"]
    assert room.load("ft-l").__name__ == "FtL"


def test_only_the_one_asked_for_is_imported(room):
    room.load("rome")
    assert "obverse_test_room.ft_l" not in sys.modules


@pytest.mark.parametrize("name", ["roem", "edit", "-shared"])
def test_an_unknown_name_shows_the_list(room, name):
    with pytest.raises(UnknownName, match=f"Unknown method '{name}'") as caught:
        room.load(name)
    assert "Known: ft-l, rome." in caught.value.hint


def test_other_packages_add_by_entry_points(room, monkeypatch):
    add_entry_point(monkeypatch, "mine", "obverse_test_room.rome:Rome")
    assert room.names() == ["ft-l", "mine", "rome"]
    assert room.load("mine").__name__ == "Rome"


def test_a_collision_is_an_error(room, monkeypatch):
    add_entry_point(monkeypatch, "rome", "elsewhere:Rome")
    with pytest.raises(ConfigError, match=r"'rome' of elsewhere:Rome exists already in obverse_test_room\.rome"):
        room.names()
