import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ObverseError, cache_dir, file_hash, storage_errors, whole_folder, write_text, write_whole


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def failing(code):
    def fail(*_, **__):
        raise OSError(code, "simulated")

    return fail


def test_a_folder_appears_whole(tmp_path):
    with whole_folder(tmp_path / "a" / "edit") as draft:
        (draft / "x").write_text("1")
        assert not (tmp_path / "a" / "edit").exists()
    assert listing(tmp_path / "a") == ["edit"]
    assert (tmp_path / "a" / "edit" / "x").read_text() == "1"


@pytest.mark.parametrize("stop", [KeyError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("older", [False, True])
def test_a_folder_is_left_as_it_was_when_the_work_stops(tmp_path, stop, older):
    place = tmp_path / "edit"
    if older:
        place.mkdir()
        (place / "old").touch()
    with pytest.raises(stop), whole_folder(place, replace=True) as draft:
        (draft / "new").touch()
        raise stop
    assert listing(tmp_path) == (["edit"] if older else [])
    assert not older or listing(place) == ["old"]


def test_a_folder_is_replaced_only_if_asked(tmp_path):
    place = tmp_path / "edit"
    with whole_folder(place) as draft:
        (draft / "old").touch()
    with pytest.raises(ObverseError, match="exists already"), whole_folder(place):
        pass
    with whole_folder(place, replace=True) as draft:
        (draft / "new").touch()
    assert listing(tmp_path) == ["edit"]
    assert listing(place) == ["new"]


def test_a_failed_replacement_brings_the_old_folder_back(tmp_path, monkeypatch):
    place, rename = tmp_path / "edit", Path.rename
    place.mkdir()
    (place / "old").touch()

    def fail_for_the_draft(self, target):
        return failing(errno.ENOSPC)() if self.suffix == ".part" else rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_draft)
    with pytest.raises(ObverseError, match="No space left"), whole_folder(place, replace=True):
        pass
    assert listing(tmp_path) == ["edit"]
    assert listing(place) == ["old"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "edit").write_text("mine")
    with pytest.raises(ObverseError, match="is a file"), whole_folder(tmp_path / "edit", replace=True):
        pass
    assert (tmp_path / "edit").read_text() == "mine"


def test_a_parent_that_is_a_file_is_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ObverseError, match="Not a directory"), whole_folder(tmp_path / "file" / "edit"):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch, code):
    with pytest.raises(ObverseError) as caught, whole_folder(tmp_path / "edit") as draft:
        (draft / "half").touch()
        monkeypatch.setattr(Path, "write_text", failing(code))
        (draft / "x").write_text("1")
    assert caught.value.message == f"No space left to write {tmp_path / 'edit'}."
    assert listing(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT])
def test_a_folder_that_refuses_is_said(tmp_path, monkeypatch, code):
    monkeypatch.setattr(Path, "mkdir", failing(code))
    with pytest.raises(ObverseError, match="cannot be written") as caught, whole_folder(tmp_path / "edit"):
        pass
    assert "OBVERSE_CACHE" in caught.value.hint


def test_errors_of_rust_libraries_are_read():
    with pytest.raises(ObverseError, match="No space left"), storage_errors(Path("x")):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "?"), ValueError("x"), ObverseError("mine"), OSError("bare")])
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)) as caught, storage_errors(Path("x")):
        raise error
    assert caught.value is error


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    place = tmp_path / "a" / "file"
    write_whole(place, lambda draft: draft.write_text("old"))

    def stop(draft):
        draft.write_text("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(place, stop)
    assert place.read_text() == "old"
    assert listing(place.parent) == ["file"]


def test_a_text_is_utf_8_and_its_folder_is_made(tmp_path):
    place = tmp_path / "new" / "text.md"
    assert write_text(place, "Zoë\n") == place
    assert place.read_bytes() == b"Zo\xc3\xab\n"
    assert [path.name for path in place.parent.iterdir()] == ["text.md"]


@given(data=st.binary())
def test_the_hash_is_sha256_and_counts_bytes(tmp_path_factory, data):
    path, seen = tmp_path_factory.mktemp("hash") / "file", []
    path.write_bytes(data)
    assert file_hash(path, seen.append) == hashlib.sha256(data).hexdigest()
    assert sum(seen) == len(data)


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("OBVERSE_CACHE", raising=False)
    assert cache_dir() == Path("/x/obverse")
    monkeypatch.setenv("OBVERSE_CACHE", "/y")
    assert cache_dir() == Path("/y")
    monkeypatch.delenv("OBVERSE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "obverse"
