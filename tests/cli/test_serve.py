"""``obverse serve``: what is asked is checked before anything is loaded, and nothing heavy is imported for its help."""

import json

import pytest

from obverse.workbench.serving import Served

pytest.importorskip("gradio", reason="gradio is not installed (extra ui)")


@pytest.fixture
def asked(monkeypatch):
    """Take what would be served, and say that it is there."""
    requests = []

    def run_serve(request, announce):
        requests.append(request)
        announce(Served("http://127.0.0.1:7860/", None, tuple(one.name or "gemma-3-270m" for one in request.models)))

    monkeypatch.setattr("obverse.workbench.run_serve", run_serve)
    return requests


def test_help_names_who_may_visit(obverse):
    ran = obverse("serve", "--help")
    assert ran.code == 0
    assert all(name in ran.out for name in ("--share", "--auth", "--host", "--json", "Examples"))


def test_this_machine_alone_unless_asked_otherwise(obverse, asked):
    ran = obverse("serve")
    assert ran.code == 0
    assert "http://127.0.0.1:7860/" in ran.out
    (request,) = asked
    assert (request.host, request.share, request.auth, request.browser) == ("127.0.0.1", False, None, False)
    assert [one.name for one in request.models] == [None]


def test_several_models_and_a_password(obverse, asked, monkeypatch):
    monkeypatch.setenv("OBVERSE_AUTH", "anna:se:cret")
    ran = obverse("serve", "-m", "gpt2", "-m", "smollm2-135m", "--host", "0.0.0.0", "--json")
    assert json.loads(ran.out)["models"] == ["gpt2", "smollm2-135m"]
    assert asked[0].auth == ("anna", "se:cret")
    ran = obverse("serve", "--host", "0.0.0.0")
    assert "Others reach it at this machine's address, port 7860." in " ".join(ran.out.split())


@pytest.mark.parametrize("args", [("--share",), ("--host", "0.0.0.0"), ("--auth", "anna"), ("--auth", ":x")])
def test_others_may_not_visit_without_a_password(obverse, args):
    ran = obverse("serve", *args)
    assert ran.code == 2
    assert "--auth" in ran.err
    assert ran.out == ""
