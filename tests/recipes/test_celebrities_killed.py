"""A survey whose process is killed without warning: what was answered is on disk, and is not asked for again."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from obverse.data.public_figures import Pair, People
from obverse.measuring.answerers import ServerModel
from obverse.measuring.openai_server import CompletionServer
from obverse.recipes.celebrities import CelebrityRequest, run_celebrities
from obverse.recipes.celebrity_survey import CelebritySettings
from protocol_server import serving

pytestmark = pytest.mark.enable_socket

PEOPLE = People(
    ("Ada Example", "Bo Sample"),
    (Pair("Ada Example", "Eve Example", "mother"), Pair("Bo Sample", "Mae Sample", "mother")),
)
SURVEY = "import sys; from test_celebrities_killed import survey; survey(sys.argv[1], sys.argv[2])"


def survey(url, out):
    """Ask one question at a time, so that an answer is kept before the next is asked for."""
    client = CompletionServer(url, "small", tries=1)
    settings = CelebritySettings(samples=2)
    asked = CelebrityRequest(lambda: ServerModel(client, chat=True), PEOPLE, Path(out), settings, parallel=1)
    return run_celebrities(asked)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known there")
def test_a_killed_survey_goes_on_where_it_was(tmp_path):
    before, child = 5, list[subprocess.Popen[bytes]]()

    def answer(_):
        if child and child[0].poll() is None and len(server.seen) > before:
            child[0].kill()  # SIGKILL, while an answer is waited for
        return [{"message": {"content": "Eve Example"}, "finish_reason": "stop"}]

    with serving(answer) as server:
        command = [sys.executable, "-c", SURVEY, server.url, str(tmp_path / "run")]
        here = Path(__file__).parent
        paths = os.pathsep.join([str(here), str(here.parent)])
        child.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}))
        assert child[0].wait(timeout=240) == -signal.SIGKILL
        kept = (tmp_path / "run" / "records.00000.jsonl").read_text("utf-8").splitlines()
        first = requests(server)
        whole = survey(server.url, tmp_path / "run")
        again = requests(server)
        assert survey(server.url, tmp_path / "other").to_json()["symmetric"] == whole.to_json()["symmetric"]
        straight = requests(server)
    assert len(kept) == before
    assert len(first) == before + 1  # the last was never answered
    assert again[0] == first[-1]
    assert Counter(first[:before] + again) == Counter(straight)


def requests(server):
    """Return what a server was asked since the last call."""
    asked = [json.dumps(request, sort_keys=True) for _, _, request in server.seen]
    server.seen.clear()
    return asked
