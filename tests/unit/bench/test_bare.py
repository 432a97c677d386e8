"""The flow without its work writes the flow's messages, one for each tick and topic."""

from pathlib import Path

import numpy as np

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch, Records
from tests.bench.bare import keep, kept, written_for

OFFSETS = np.arange(3)


def output(*topics: str) -> OutputBatch:
    """Return a batch of three messages for each topic."""
    records = [
        Records(topic, OFFSETS, [None] * 3, [f"{topic}{at}".encode() for at in OFFSETS])
        for topic in topics
    ]
    return OutputBatch(0, 3, 0, caught_up=False, emit=True, records=records)


def test_what_was_kept_is_written_for_each_tick(tmp_path: Path) -> None:
    keep(output("predictions", "ticks.features"), tmp_path / "kept")
    values = [b"tick"] * 2
    raw = RawBatch(0, values, [7, 8], [0, 0], next_offset=9, caught_up=True)
    written = written_for(raw, kept(tmp_path / "kept"))
    assert [(each.topic, each.values) for each in written.records] == [
        ("predictions", [b"predictions0", b"predictions1"]),
        ("ticks.features", [b"ticks.features0", b"ticks.features1"]),
    ]
    assert [each.offsets.tolist() for each in written.records] == [[7, 8], [7, 8]]
    assert (written.next_offset, written.caught_up, written.emit) == (9, True, True)
