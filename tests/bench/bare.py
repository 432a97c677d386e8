"""The flow without its work: its own reader and writer, and between them messages made before.

Run as a process of its own, as the flow is: ``python -m tests.bench.bare BOOTSTRAP COUNT FROM
GROUP FOLDER``. It reads ``ticks.raw``, and for every tick writes a message of each file in the
folder, in the flow's transactions and by a thread of its own. Its last line on stdout is one JSON
object. What the flow takes beyond this is what decoding, features, scores and text cost.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.sink import PartitionWriter
from flows.connectors.kafka.watchdog import Progress
from flows.runtime.process import calm_collector
from tests.bench.transport import COMMIT_EVERY_S, SILENCE_LIMIT_S, open_reader, open_writer
from tests.support.polling import pause

LOOK_S = 0.001

Messages = list[tuple[str, list[bytes]]]
"""By topic: as many messages as a batch has."""


def keep(batch: OutputBatch, folder: Path) -> None:
    """Write a batch's messages to a folder, a file for each topic and a line for each message."""
    folder.mkdir()
    for records in batch.records:
        (folder / records.topic).write_bytes(b"\n".join(records.values))


def kept(folder: Path) -> Messages:
    """Return what :func:`keep` wrote."""
    paths = sorted(folder.iterdir())
    return [(path.name, path.read_bytes().split(b"\n")) for path in paths]


def written_for(raw: RawBatch, messages: Messages) -> OutputBatch:
    """Return an output of as many messages as the batch has ticks."""
    count = len(raw.values)
    offsets = np.arange(count) + raw.offsets[0]
    return OutputBatch(
        partition=raw.partition,
        next_offset=raw.next_offset,
        rebuild_from=raw.next_offset,
        caught_up=raw.caught_up,
        emit=True,
        records=[
            Records(topic, offsets, [b"BTC-USD"] * count, each[:count]) for topic, each in messages
        ],
    )


def copy(
    bootstrap: str, count: int, from_count: int, group: str, messages: Messages
) -> dict[str, float]:
    """Read ``count`` ticks and write their messages; return how fast that was and what it cost.

    Both are taken from ``from_count`` committed ticks on.
    """
    config = {"bootstrap.servers": bootstrap}
    progress = Progress()
    progress.position[0] = progress.committed[0] = 0
    reader = open_reader(config, group, progress)
    writer = PartitionWriter(
        open_writer(config, group), COMMIT_EVERY_S, lambda _: None, lambda _: None, progress
    )
    first: tuple[float, float, int] | None = None
    heard_s = time.monotonic()
    while progress.committed[0] < count:
        batches = reader.next_batch()
        for batch in batches:
            if batch.values:
                writer.write_batch([written_for(batch, messages)])
                heard_s = time.monotonic()
        done = progress.committed[0]
        if first is None and done >= from_count:
            first = (time.perf_counter(), time.process_time(), done)
        if not batches:
            pause(LOOK_S)
            if time.monotonic() - heard_s > SILENCE_LIMIT_S:
                sys.exit(f"nothing was read for {SILENCE_LIMIT_S:g} s at {done} of {count}")
    now_s, cpu_s = time.perf_counter(), time.process_time()
    writer.close()
    reader.close()
    if first is None or first[2] >= count:
        sys.exit(f"all {count} ticks were committed at once; give more ticks")
    timed = count - first[2]
    return {
        "ticks_per_s": timed / (now_s - first[0]),
        "cpu_us_per_tick": 1e6 * (cpu_s - first[1]) / timed,
    }


if __name__ == "__main__":
    calm_collector()
    _, where, total, counted_from, name, folder = sys.argv
    rate = copy(where, int(total), int(counted_from), name, kept(Path(folder)))
    sys.stdout.write(json.dumps(rate) + "\n")
