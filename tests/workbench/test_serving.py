"""Who may visit is decided before anything is loaded."""

import io
import re
import socket
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, ObverseError
from obverse.workbench import fragments
from obverse.workbench.jobs import Beat
from obverse.workbench.serving import ServeRequest, check_address, check_serve, is_local, run_serve
from obverse.workbench.style import own, page_head, report_style

gradio = pytest.importorskip("gradio", reason="gradio is not installed (extra ui)")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_needs_no_password(host):
    assert is_local(host)
    check_serve(ServeRequest(host=host))


@pytest.mark.parametrize(
    "request_",
    [ServeRequest(share=True), *(ServeRequest(host=host) for host in ("0.0.0.0", "::", "192.168.0.7", "example.org"))],
)
def test_others_need_one(request_):
    with pytest.raises(ConfigError, match="no password is asked for"):
        check_serve(request_)
    check_serve(replace(request_, auth=("anna", "secret")))


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_said_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("obverse.workbench.desk.Desk.load", lambda _: pytest.fail("loaded"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ObverseError, match=f"at port {port} of 127.0.0.1: address already in use") as refused:
            run_serve(ServeRequest(port=port), lambda _: None)
    assert "--port" in refused.value.hint


@pytest.mark.enable_socket
def test_an_address_of_another_machine_is_refused():
    check_address("127.0.0.1", None)
    with pytest.raises(ObverseError, match=r"at 192\.0\.2\.1: cannot assign"):  # for documentation: nobody has it
        check_address("192.0.2.1", None)


@pytest.mark.enable_socket
def test_without_a_tunnel_a_public_address_is_refused_and_nothing_is_printed(monkeypatch):
    def setup_tunnel(**_):
        raise RuntimeError("no network")

    monkeypatch.setattr("gradio.networking.setup_tunnel", setup_tunnel)
    monkeypatch.setattr("obverse.workbench.desk.Desk.load", lambda _: None)
    # not capsys, which puts another stderr in place: absl's handler of logs, which uvicorn closes, would then close
    # the one of pytest itself
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.raises(ObverseError, match="No public address"):
        run_serve(ServeRequest(share=True, auth=("anna", "secret")), lambda _: pytest.fail("served"))
    assert printed.getvalue() == ""


def test_without_gradio_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setattr("obverse.workbench.serving.find_spec", lambda _: None)
    with pytest.raises(ObverseError) as refused:
        check_serve(ServeRequest())
    assert "obverse[ui]" in refused.value.hint


def test_the_page_fetches_nothing_and_styles_nothing_but_its_own():
    head = page_head()
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"/\*.*?\*/", "", head))
    style = report_style()
    assert "prefers-color-scheme" not in style
    assert ":root" not in style
    assert style.count("{") == style.count("}")
    assert all("http" not in own(name) for name in ("heat.js", "actions.js"))


@given(st.text(), st.text(), st.one_of(st.none(), st.floats(0, 1)), st.integers(0, 3))
def test_what_is_said_of_a_job_is_text(label, note, share, ahead):
    html = fragments.running(Beat(f"<i>{label}", share, f"<i>{note}", ahead, 1.0))
    assert "<i>" not in html
    assert ("Waiting" in html) or not ahead
    error = ObverseError(f"<i>{label}", f"<i>{note}")
    assert "<i>" not in fragments.failed(error)
