"""The commands where nothing can be written: a read-only root, no home, no temporary files."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from flows.host.lossy_output import SAID_BY
from flows.scoring.baseline import ensure_baseline
from flows.scoring.registry import ModelStore
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.family import Family
from tests.support.polling import free_ports, until
from tests.support.processes import Process
from tests.support.read_only import read_only, skip_where_mounts_are_refused

SPIKE = "volatility_spike"
UNCACHED = "no place can be written to"
FLOWS = ("ingest", "pipeline", "outcomes", "candles")


@pytest.fixture(autouse=True)
def _mounts(tmp_path: Path) -> None:
    skip_where_mounts_are_refused(tmp_path)


def assert_calm(process: Process) -> None:
    assert "Traceback" not in process.stderr, process.tail()
    assert process.stderr.count(UNCACHED) <= 1


@pytest.mark.slow
def test_every_process_of_a_system_runs_and_says_at_most_once_what_is_not_kept(
    embedded_broker: EmbeddedBroker, valkey: Valkey, group: str, tmp_path: Path
) -> None:
    store = ModelStore(tmp_path / "models")
    ensure_baseline(store, SPIKE)
    [port] = free_ports(1)
    settings = {
        **embedded_broker.environment(),
        "REDIS_URL": valkey.url,
        "VOLTICK_GROUP": group,
        "VOLTICK_MODEL_STORE": str(store.root),
        "VOLTICK_TARGETS": SPIKE,
        "VOLTICK_FEED": "simulate",
        "VOLTICK_API_PORT": str(port),
    }
    processes = {
        name: read_only(["-m", "bytewax.run", f"flows.{name}"], tmp_path, settings, name)
        for name in FLOWS
    }
    processes["serving"] = read_only(["-m", "serving"], tmp_path, settings, "serving")
    processes["archive"] = read_only(
        ["-m", "bytewax.run", "flows.archive"],
        tmp_path,
        {**settings, "VOLTICK_ARCHIVE_INTERVAL_S": "1"},
        "archive",
    )
    processes["ingest"].start().wait_for_log("SIMULATED", 60)
    for name in ("pipeline", "outcomes", "candles", "archive", "serving"):
        processes[name].start()

    def scored() -> bool:
        for name in (*FLOWS, "serving"):
            assert processes[name].running, processes[name].tail()
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    try:
        until(scored, "an API that is healthy", 90, 0.2)
        # It has one task, which is writing: it says what keeps it from that, and loses nothing.
        assert processes["archive"].wait_exit(60) == 2
        last = processes["archive"].stderr.splitlines()[-1]
        assert last.startswith(f"{SAID_BY}the archive")
        assert "cannot be written: Read-only file system" in last
        assert last.endswith("nothing is lost, start again once it can")
    finally:
        for process in processes.values():
            process.kill()
    for process in processes.values():
        assert_calm(process)


@pytest.mark.slow
def test_an_all_in_one_run_keeps_its_own_files_in_shared_memory(tmp_path: Path) -> None:
    family = Family()
    settings = {
        "VOLTICK_TRAIN_AT_START": "false",
        "VOLTICK_SIMULATE_HISTORY_S": "600",
        **family.settings,
    }
    arguments = ["-m", "flows.local", "--feed", "simulate", "--no-api"]
    with read_only(arguments, tmp_path, settings, shared_memory=True) as process:
        process.wait_for_log(r"running .*score=", 90)
        assert process.stderr.count("models of this run end with it") == 1
        process.terminate()
        assert process.wait_exit(60) == 128 + signal.SIGTERM
        assert_calm(process)
    until(lambda: not family.living(), "all processes to end", 60)


def test_an_all_in_one_run_without_any_place_is_refused_with_the_cure(tmp_path: Path) -> None:
    with read_only(["-m", "flows.local", "--feed", "simulate"], tmp_path, {}) as process:
        assert process.wait_exit(60) == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"{SAID_BY}an all-in-one run needs a folder for its children's logs")
    assert line.endswith("set TMPDIR to a folder that can be written")


@pytest.mark.slow
def test_a_training_that_publishes_nothing_needs_no_place(tmp_path: Path) -> None:
    arguments = ["-m", "training.retrain", "--from", "simulate:2h", "--models", "anchored"]
    settings = {"VOLTICK_SIMULATE_RATE_HZ": "2"}
    with read_only([*arguments, "--store", "models"], tmp_path, settings) as process:
        assert process.wait_exit(170) == 0, process.tail()
    line = json.loads(process.stdout.splitlines()[-1])
    assert not line["published"]
    assert process.stderr.count("reports are without pictures") <= 1
    assert_calm(process)
