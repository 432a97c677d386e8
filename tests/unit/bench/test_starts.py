"""What a start took, read from a log with known times."""

import importlib
import json

import pytest

from flows.connectors.kafka.transactions import TransactionalWriter
from flows.host.lossy_output import SAID_BY
from tests.bench.staged import CALLS, MARK, WRITES, stages
from tests.bench.starts import Start, start_of

READY = json.dumps(
    {
        "brokers": "127.0.0.1:9092",
        "rebuild": 300,
        "event": "pipeline ready",
        "level": "info",
        "timestamp": "2026-01-01T00:00:02.500000Z",
    }
)
WALL_AT_0_NS = 1_767_225_600 * 10**9  # 2026-01-01


def stage(name: str, from_s: float, to_s: float) -> str:
    return MARK + json.dumps({"name": name, "from_s": from_s, "to_s": to_s})


def test_start_is_timed_from_start_and_from_ready() -> None:
    run = start_of(f"noise\n{READY}\n", 1.0, 3 * 10**9, WALL_AT_0_NS)
    assert run == Start(
        first_s=2.0, after_ready_s=pytest.approx(0.5, abs=1e-6), rebuilt=300, stages={}
    )


def test_start_that_was_never_ready_is_refused() -> None:
    with pytest.raises(ValueError, match="ready"):
        start_of(f"{SAID_BY}no broker\n", 1.0, 3 * 10**9, WALL_AT_0_NS)


def test_stages_are_added_up_but_only_the_first_commit_counts() -> None:
    told = [
        stage("imports", 1.5, 2.0),
        "some other line",
        stage("broker", 2.0, 2.25),
        stage("broker", 3.0, 3.5),
        stage("first_commit", 4.0, 4.5),
        stage("first_commit", 5.0, 9.0),
    ]
    assert stages("\n".join(told), 1.0) == {
        "interpreter": 0.5,
        "imports": 0.5,
        "broker": 0.75,
        "first_commit": 0.5,
    }


def test_rebuild_counts_from_ready_on() -> None:
    assert Start(5.0, 2.5, 1_000, {}).rebuilt_per_s == 400.0


def test_pipeline_has_every_call_that_is_timed() -> None:
    calls = [(importlib.import_module(at), name) for at, names in CALLS.items() for name in names]
    assert [name for module, name in calls if not hasattr(module, name)] == []
    assert [name for name in WRITES if not hasattr(TransactionalWriter, name)] == []
