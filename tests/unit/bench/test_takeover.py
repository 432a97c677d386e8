"""What a takeover consists of, from the log of the member that took over."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.bench.takeover import Parts, parts_of

KILLED_AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def line(event: str, after_s: float, **more: object) -> str:
    at = KILLED_AT + timedelta(seconds=after_s)
    return json.dumps({"event": event, "timestamp": at.isoformat(), **more})


def taken(partition: int, after_s: float, fencing_s: float, planning_s: float) -> str:
    return line(
        "partition taken over",
        after_s,
        partition=partition,
        fencing_s=fencing_s,
        planning_s=planning_s,
    )


def test_the_parts_are_those_after_the_kill_and_the_longest_of_several_partitions() -> None:
    said = [
        line("partitions assigned", -9, partitions=[0]),
        taken(0, -8, 3.0, 3.0),
        "no JSON",
        line("partitions assigned", 6.25, partitions=[1, 2]),
        taken(1, 6.5, 0.15, 0.05),
        taken(2, 6.6, 0.04, 0.07),
    ]
    assert parts_of("\n".join(said), KILLED_AT) == Parts(6.25, 0.15, 0.07)


def test_a_log_without_a_takeover_is_refused() -> None:
    with pytest.raises(ValueError, match="did not tell of a takeover"):
        parts_of(line("partitions assigned", 1, partitions=[]), KILLED_AT)
