"""The archive as a Bytewax sink: one thread per partition, which writes runs of offsets.

Delivery: exactly once by offset, see :mod:`.writer`. A run is written when it is large or old
enough; a bounded queue holds the flow back while the disk is slower. Where to continue is the state
file's to say, nothing is in the engine's recovery.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.codec.batch import RawBatch, partition_key
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.sink import ErrorHandler, Overdue, PartitionWriter
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.parquet.writer import ArchiveWriter, Flush

MOST_ROWS = 100_000
"""A run of so many messages is written at once: files of some megabytes."""

FlushObserver = Callable[[Flush], None]


class ArchiveSink(FixedPartitionedSink[RawBatch, None]):
    """Sink of ``(partition_key, RawBatch)`` items of one topic.

    Parameters
    ----------
    folder
        The archive's.
    starts
        One per partition: from where on messages are wanted.
    interval_s
        Longest time a message waits to be written.
    on_flush
        Called by the partition's thread after each run; must be quick.
    on_error
        Called by the partition's thread with what ended it.
    progress
        Shared with the source and the watchdog.
    """

    def __init__(
        self,
        folder: Path,
        topic: str,
        starts: Sequence[Start],
        interval_s: float,
        on_flush: FlushObserver,
        on_error: ErrorHandler,
        progress: Progress,
    ) -> None:
        self._folder = folder
        self._topic = topic
        self._starts = {partition_key(start.partition): start for start in starts}
        self._interval_s = interval_s
        self._on_flush = on_flush
        self._on_error = on_error
        self._progress = progress

    def list_parts(self) -> list[str]:
        """Name all partitions."""
        return list(self._starts)

    def part_fn(self, item_key: str) -> int:
        """Route partition k of the topic to partition k of the sink."""
        return int(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[RawBatch, None]:
        """Start the partition's thread, which locks the partition in the archive."""
        del step_id, resume_state
        start = self._starts[for_part]
        writer = ArchiveWriter(
            self._folder, self._topic, start.partition, start.emit_from, start.topic_id
        )
        return ArchivePartition(
            writer, self._interval_s, self._on_flush, self._on_error, self._progress
        )


class ArchivePartition(PartitionWriter[RawBatch, Flush]):
    """One partition's thread and its queue; writes a run that is large or old enough."""

    _writer: ArchiveWriter

    def _is_due(self, item: RawBatch | Overdue) -> bool:
        return (
            isinstance(item, Overdue)
            or self._writer.rows >= MOST_ROWS
            or self._writer.age_s >= self._interval_s
        )
