"""Jobs in this process and on Ray: the same results, whatever dies on the way."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, EditFailed, ObverseError
from obverse.recipes import cluster as cluster_module
from obverse.recipes.cluster import Plan, check_ray, cluster, plan
from obverse.recipes.fanout import TRIES, _Worker, fan_out

ends = pytest.mark.timeout(200, method="thread")  # Ray swallows the signal of the other method
machines = st.lists(st.fixed_dictionaries({"CPU": st.integers(1, 96)}), min_size=1, max_size=5)


class TestInThisProcess:
    @given(st.lists(st.integers()))
    def test_results_come_in_order_from_one_function(self, jobs: list[int]) -> None:
        made: list[str] = []

        def make() -> Callable[[int], int]:
            made.append("once")
            return lambda job: job * job

        assert list(fan_out(jobs, make)) == [(place, job * job) for place, job in enumerate(jobs)]
        assert made == (["once"] if jobs else [])

    @given(st.integers(1, 9), st.integers(0, 9))
    def test_a_job_is_done_when_its_result_is_asked_for(self, count: int, taken: int) -> None:
        begun: list[int] = []
        results = fan_out(range(count), lambda: begun.append)
        assert begun == []
        assert len(list(islice(results, taken))) == len(begun) == min(count, taken)

    @given(st.integers(0, 4))
    def test_an_error_keeps_what_came_before(self, bad: int) -> None:
        got = []
        with pytest.raises(ZeroDivisionError):
            for place, _ in fan_out(range(5), lambda: lambda job: 1 // (job - bad)):
                got.append(place)
        assert got == [*range(bad)]

    def test_no_jobs_on_ray_ask_for_no_cluster(self) -> None:
        assert list(fan_out([], lambda: str, ray="no address")) == []


class TestPlan:
    @given(machines, st.integers(1, 300) | st.none())
    def test_all_workers_find_room_beside_each_other(self, machines: list[dict[str, float]], workers: int | None):
        found = plan(machines, workers)
        assert workers in (None, found.workers)
        assert sum(int(machine["CPU"] / found.cores + 1e-9) for machine in machines) >= found.workers
        assert found.threads == max(1, int(found.cores))

    def test_defaults(self) -> None:
        assert plan([{"CPU": 1}]) == Plan(1, 1, 0, 1)
        assert plan([{"CPU": 2}]) == Plan(2, 1, 0, 1)
        assert plan([{"CPU": 64}]) == Plan(16, 4, 0, 4)
        assert plan([{"CPU": 2}, {"CPU": 16}]) == Plan(6, 1, 0, 1)
        assert plan([{"CPU": 16, "GPU": 2}, {"CPU": 4}]) == Plan(2, 1, 1, 8)
        assert plan([{"CPU": 16, "GPU": 2}], gpus=0.5) == Plan(4, 1, 0.5, 4)
        assert plan([{"CPU": 16, "GPU": 2}], gpus=0) == Plan(4, 4, 0, 4)
        assert plan([{"CPU": 2}], 8) == Plan(8, 0.25, 0, 1)

    @pytest.mark.parametrize(
        ("workers", "gpus", "error", "message"),
        [
            (0, None, ConfigError, "0 workers"),
            (None, 1.5, ConfigError, "cannot have 1.5 GPUs"),
            (None, -1, ConfigError, "cannot have -1 GPUs"),
            (None, 2, ObverseError, "No machine of the cluster has 2 GPUs"),
            (3, 0.5, ConfigError, "the cluster has room for 2"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, workers: int | None, gpus: float | None, error: type[ObverseError], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            plan([{"CPU": 8, "GPU": 1}], workers, gpus)

    def test_a_cluster_without_cores_has_no_room(self) -> None:
        with pytest.raises(ObverseError, match="has a core for a worker"):
            plan([{"CPU": 0}])


class TestBadInput:
    def test_missing_ray_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(ObverseError, match=r"pip install 'obverse\[ray\]'"):
            next(fan_out([1], lambda: str, ray="local"))

    @pytest.mark.parametrize("address", ["", "here", "host:", ":6379", "host:port", "host:99999", "ray://host"])
    def test_an_address_of_no_known_form(self, address: str) -> None:
        pytest.importorskip("ray")
        with pytest.raises(ConfigError, match="is no address of Ray"), cluster(address):
            pass

    @pytest.mark.enable_socket
    @pytest.mark.parametrize("kind", ["", "ray://"])
    def test_an_address_where_nobody_answers(self, kind: str) -> None:
        pytest.importorskip("ray")
        with pytest.raises(ObverseError, match="No Ray cluster answers at"), cluster(f"{kind}127.0.0.1:1"):
            pass

    def test_a_worker_of_another_version_is_refused(self) -> None:
        with pytest.raises(ObverseError, match=r"A worker has obverse .*, this process has 0\.0\.0"):
            _Worker().start("0.0.0", 1, (None,))


def _squares(die_at: int | None = None, flag: Path | None = None) -> Callable[[], Callable[[int], tuple[int, int]]]:
    """Return a maker of a function that squares, and dies at a job: always, or, with a flag, the first time."""

    def make() -> Callable[[int], tuple[int, int]]:
        def square(job: int) -> tuple[int, int]:
            import torch

            if job == die_at and not (flag and flag.exists()):
                if flag:
                    flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return job * job, torch.get_num_threads()

        return square

    return make


def test_without_ray_it_is_refused_only_if_asked_for(monkeypatch):
    check_ray("local")
    monkeypatch.setattr(cluster_module, "find_spec", lambda name: None)
    check_ray(None)
    with pytest.raises(ObverseError, match="Ray is not installed") as caught:
        check_ray("local")
    assert caught.value.hint == "pip install 'obverse[ray]'"


@pytest.mark.slow
@ends
@pytest.mark.enable_socket
def test_a_cluster_of_this_machine_outlives_a_killed_worker(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ray = pytest.importorskip("ray")
    handler, flag = signal.getsignal(signal.SIGTERM), tmp_path / "killed"
    here = {place: result for place, (result, _) in fan_out(range(8), _squares())}
    there = dict(fan_out(range(8), _squares(3, flag), ray="local", workers=2))
    assert {place: result for place, (result, _) in there.items()} == here
    assert flag.exists()
    assert [record.getMessage()[:44] for record in caplog.records] == ["A worker died at job 4 of 8 (1 in a row): Wo"]
    assert {threads for _, threads in there.values()} == {max(1, (os.cpu_count() or 2) // 2)}
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert capfd.readouterr().out == ""  # Ray would tell of the death there, amid --json


@pytest.fixture(scope="module")
def connected() -> Iterator[None]:
    """A cluster that stays for several tests; `fan_out` uses the connection that there is."""
    pytest.importorskip("ray")
    with cluster("local"):
        yield


@pytest.mark.slow
@ends
@pytest.mark.enable_socket
@pytest.mark.usefixtures("connected")
class TestOnRay:
    def test_a_poisonous_job_ends_the_run_after_the_jobs_under_way(self, caplog: pytest.LogCaptureFixture) -> None:
        got = []
        with pytest.raises(ObverseError, match="3 workers died of job 3, one after another: 2") as raised:
            for place, _ in fan_out(range(50), _squares(2), ray="local", workers=2):
                got.append(place)
        assert "unexpectedly" in raised.value.message
        assert {0, 1} <= set(got)
        assert 2 not in got
        assert len(caplog.records) == TRIES

    def test_an_obverse_error_comes_as_it_was_raised_and_ends_the_workers(self, tmp_path: Path) -> None:
        def make() -> Callable[[int], None]:
            (tmp_path / str(os.getpid())).touch()

            def fail(job: int) -> None:
                raise EditFailed(f"Fact {job} could not be written.", "Take another.")

            return fail

        with pytest.raises(EditFailed) as raised:
            list(fan_out([7], make, ray="local"))
        assert type(raised.value) is EditFailed
        assert (raised.value.message, raised.value.hint) == ("Fact 7 could not be written.", "Take another.")
        assert all(_ends(int(path.name)) for path in tmp_path.iterdir())  # though the error is still held here

    def test_another_error_comes_with_the_workers_traceback(self) -> None:
        with pytest.raises(ZeroDivisionError, match=r"(?s)test_fanout\.py.*by zero"):
            list(fan_out([0], lambda: lambda job: 1 // job, ray="local"))

    def test_workers_that_cannot_start_end_the_run(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("obverse.recipes.fanout.TRIES", 2)

        def make() -> Callable[[int], int]:
            os._exit(1)

        with pytest.raises(ObverseError, match="2 workers died as they started") as raised:
            list(fan_out([1, 2], make, ray="local", workers=1))
        assert "Install obverse" in raised.value.hint
        assert len(caplog.records) == 2

    def test_waiting_long_is_told_once(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("obverse.recipes.fanout.PATIENCE", 0.01)
        assert [result for _, (result, _) in fan_out([3], _squares(), ray="local", workers=1)] == [9]
        assert [record.getMessage()[:22] for record in caplog.records] == ["No worker is ready aft"]

    def test_leaving_the_loop_ends_the_workers(self, tmp_path: Path) -> None:
        def make() -> Callable[[int], int]:
            (tmp_path / str(os.getpid())).touch()
            return lambda job: job

        for _ in fan_out(range(1000), make, ray="local", workers=2):
            break
        workers = [int(path.name) for path in tmp_path.iterdir()]
        assert workers
        assert all(_ends(pid) for pid in workers)


def _ends(pid: int, within: float = 20) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
