"""``obverse doctor`` on the command line."""

import json

import pytest

from obverse.recipes import doctor
from obverse.recipes.doctor_result import Check, Diagnosis


def test_it_names_versions_devices_cache_and_disk(obverse):
    ran = obverse("doctor", "--offline")
    assert ran.code == 0, ran.err
    for shown in ("torch", "cpu", "gemma-3-270m", "disk", "left alone (--offline)", "All is well"):
        assert shown in ran.out


def test_json_holds_the_same(obverse):
    told = json.loads(obverse("doctor", "--offline", "--json").out)
    assert told["healthy"] is True
    names = {check["name"] for check in told["checks"]}
    assert {"obverse", "python", "torch", "cpu", "folder", "disk"} <= names


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [("ok", 0, "All is well"), ("note", 0, "All is well"), ("fault", 1, "Not well: [x]")],
)
def test_a_fault_ends_with_1(obverse, monkeypatch, status, code, said):
    found = Diagnosis((Check("cache", "[x]", status, "[red]", "do [this]"),))
    monkeypatch.setattr(doctor, "run_doctor", lambda **_: found)
    ran = obverse("doctor")
    assert ran.code == code
    assert said in ran.out
    assert "[red]" in ran.out  # found in the world, not markup
    assert "do [this]" in ran.out
