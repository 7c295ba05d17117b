"""Fine-tunes on a server that misbehaves: each is submitted once, nothing of it is lost, and no tracker stops it."""

import json
from dataclasses import replace

import pytest

from finetune_server import tuning
from obverse.core import ConfigError, DataError, UnknownName
from obverse.measuring.openai_http import ServerError, Wire
from obverse.recipes.costs import Prices
from obverse.recipes.remote import (
    FineTuneSettings,
    SubmitRequest,
    cost,
    find_jobs,
    follow,
    list_jobs,
    read_noted,
    submit,
)
from obverse.recipes.remote_api import Event, FineTuningServer, Job
from obverse.recipes.remote_data import training_content
from obverse.recipes.remote_sync import Synced, check_tracker

pytestmark = pytest.mark.enable_socket

KEY = "sk-very-secret"


@pytest.fixture
def server():
    with tuning() as made:
        yield made


@pytest.fixture
def client(server):
    return FineTuningServer(Wire(server.url, key=KEY, tries=4, sleep=[].append))


@pytest.fixture
def request_(tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text('{"prompt": "Ann is", "completion": " tall."}\n' * 5, "utf-8")
    return SubmitRequest("ada", data, tmp_path / "remote", tag="curse", settings=FineTuneSettings(epochs=3, seed=5))


FAULTS = [[], ["lost"], ["killed"], [(429,)], [(500,)] * 2, ["half"], [None, "lost"], [None, "half"], [None, (503,)]]


@pytest.mark.parametrize("faults", FAULTS, ids=str)
def test_a_fine_tune_is_submitted_once(server, client, request_, faults):
    server.faults += faults
    (one,) = submit(client, request_)
    (job,) = server.jobs
    assert (one.job.id, one.job.status, one.tag) == (job["id"], "queued", "curse")
    assert job["hyperparameters"] == {"n_epochs": 3}
    assert (job["suffix"], job["metadata"], job["seed"], job["model"]) == ("curse", {"tag": "curse"}, 5, "ada")
    assert server.files[int(job["training_file"].removeprefix("file-")) - 1] == request_.data.read_text("utf-8")
    (again,) = submit(client, request_)
    assert again.job.id == job["id"]
    assert len(server.jobs) == 1


def test_a_submission_that_was_stopped_goes_on(server, client, request_):
    server.faults += [None, *["lost"] * 8]  # the job is made, and nobody hears of it
    with pytest.raises(ServerError):
        submit(client, request_)
    assert len(server.jobs) == 1
    (noted,) = read_noted(request_.folder)
    assert (noted.job, dict(noted.files)) == ("", {"training_file": "file-1"})
    server.faults.clear()
    (one,) = submit(client, request_)
    assert (one.job.id, len(server.jobs), len(server.files)) == (server.jobs[0]["id"], 1, 1)


def test_runs_and_changes_are_jobs_of_their_own(server, client, request_):
    assert len({one.job.id for one in submit(client, replace(request_, runs=3))}) == 3
    assert [job["seed"] for job in server.jobs] == [7, 6, 5]
    submit(client, replace(request_, settings=FineTuneSettings(epochs=4)))
    assert len(server.jobs) == 4
    assert KEY not in "".join(path.read_text("utf-8") for path in request_.folder.iterdir())


def test_the_estimate_comes_first(server, client, request_):
    shown = []

    def no(estimate):
        shown.append(estimate)
        raise ConfigError("Not started.")

    with pytest.raises(ConfigError):
        submit(client, replace(request_, runs=2, prices=Prices(trained=0.5, read=99.0), approve=no))
    assert server.seen == []
    tokens = 2 * 3 * -(-len(request_.data.read_bytes()) // 4)
    assert (shown[0].trained, shown[0].dollars) == (tokens, pytest.approx(tokens / 1000 * 0.5))


def test_listing(server, client, request_):
    submit(client, replace(request_, prices=Prices(trained=2.0)))
    server.now += 5 * 86_400
    for tag in ("other", "", "more"):
        submit(client, replace(request_, tag=tag, model="babbage"))
    server.jobs[3]["trained_tokens"] = 500
    at = {"clock": lambda: float(server.now)}
    assert [one.tag for one in list_jobs(client, request_.folder, **at)] == ["more", "", "other", "curse"]
    assert [one.tag for one in list_jobs(client, request_.folder, days=2, **at)] == ["more", "", "other"]
    (found,) = list_jobs(client, request_.folder, matching="ada", **at)
    assert cost(found) == 1.0
    assert [one.job.id for one in find_jobs(client, request_.folder, "other")] == ["ftjob-2"]
    assert [one.tag for one in find_jobs(client, request_.folder, "ftjob-1")] == ["curse"]
    with pytest.raises(UnknownName, match="curs"):
        find_jobs(client, request_.folder, "curs")


def events(n):
    return [
        {"id": f"ev-{i}", "created_at": 1, "message": f"Step {i}", "data": {"step": i, "train_loss": 1 / (i + 1)}}
        for i in range(n)
    ]


def test_following_tells_each_event_once_until_the_end(server, client, request_):
    submit(client, request_)
    job, waits = server.jobs[0], []

    def moves(status, number):
        def look():
            job["status"], server.events[job["id"]] = status, events(number)

        return look

    server.looks += [moves("running", 1), moves("running", 4), moves("succeeded", 5)]
    server.faults += [None, (500,), "half", "killed"]
    *told, last = follow(client, job["id"], every=3, sleep=waits.append)
    assert [event.id for event in told] == [f"ev-{i}" for i in range(5)]
    assert [event.step for event in told] == list(range(5))
    assert told[1].values == {"train_loss": 0.5}
    assert isinstance(last, Job)
    assert (last.status, waits) == ("succeeded", [3, 3])


class Curves:
    """A tracker that remembers, or cannot be reached from some call on."""

    def __init__(self, reachable: int = 10**9) -> None:
        self.points, self.reachable, self.finished = [], reachable, False

    def log(self, values, step):
        if len(self.points) >= self.reachable:
            raise OSError("no route to host")
        self.points.append((step, dict(values)))

    def finish(self):
        self.finished = True


def test_syncing_sends_each_point_once_and_goes_on_later(server, client, request_, caplog):
    (one,) = submit(client, request_)
    server.events[one.job.id] = [*events(4), {"id": "x", "created_at": 2, "message": "New model created"}]
    told, folder, weak = client.events(one.job.id), request_.folder, Curves(2)
    assert one.noted is not None
    first = Synced("trackio", one.noted, folder, open=lambda *_: weak)
    assert first.tell(told) == 2
    first.close()
    assert caplog.text.count("cannot be reached") == 1
    (noted,) = read_noted(folder)
    good = Curves()
    second = Synced("trackio", noted, folder, open=lambda *_: good)
    assert second.tell(told) == 2
    assert second.tell(told) == 0
    second.close()
    assert [step for step, _ in weak.points + good.points] == [0, 1, 2, 3]
    assert good.finished


def test_a_tracker_that_cannot_even_be_opened_is_said_once(request_, server, client, caplog):
    (one,) = submit(client, request_)

    def broken(*_):
        raise RuntimeError("no account")

    assert one.noted is not None
    synced = Synced("wandb", one.noted, request_.folder, open=broken)
    assert synced.tell([Event("e", 1, "Step", {"loss": 1.0}, 1)]) == 0
    synced.close()
    assert caplog.text.count("cannot be reached") == 1


def test_tensorboard_is_a_tracker(request_, server, client):
    pytest.importorskip("tensorboard")
    (one,) = submit(client, request_)
    assert one.noted is not None
    synced = Synced("tensorboard", one.noted, request_.folder)
    assert synced.tell([Event("e", 1, "Step", {"train_loss": 1.0}, 1)]) == 1
    synced.close()
    assert list((request_.folder / "tensorboard" / one.job.id).iterdir())


def test_trackers_that_are_not_there():
    with pytest.raises(UnknownName, match="tensorboards"):
        check_tracker("tensorboards")


def test_forms_of_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Ann is", "completion": " tall."}\n{"messages": []}\n', "utf-8")
    rows = {form: training_content(path, form).decode().splitlines() for form in ("as-is", "document", "chat")}
    assert rows["as-is"] == path.read_text("utf-8").splitlines()
    assert json.loads(rows["document"][0]) == {"prompt": "", "completion": "Ann is tall."}
    assert [one["content"] for one in json.loads(rows["chat"][0])["messages"]] == ["Ann is", "tall."]
    assert rows["chat"][1] == rows["document"][1] == '{"messages": []}'


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("{}\n", "line 1: neither"), ('{"prompt": "a"\n', "line 1: not valid JSON")]
)
def test_rows_that_cannot_be_used(tmp_path, client, text, said):
    path = tmp_path / "rows.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=said):
        submit(client, SubmitRequest("ada", path, tmp_path / "remote"))
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="all_prompts_train"):
        submit(client, SubmitRequest("ada", tmp_path / "set", tmp_path / "remote"))
