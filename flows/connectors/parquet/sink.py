"""The archive as a Bytewax sink: one thread per partition, which writes runs of offsets.

Delivery: exactly once by offset, see :mod:`.writer`. A run is written when it is large or old
enough; a bounded queue holds the flow back while the storage is slower. Where to continue is the
state's to say, nothing is in the engine's recovery.
"""

from collections.abc import Callable, Mapping

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.codec.batch import RawBatch, partition_key
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.parquet.storage import Storage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning, Flush
from flows.connectors.partition_thread import ErrorHandler, PartitionThread

FlushObserver = Callable[[Flush], None]


class ArchiveSink(FixedPartitionedSink[RawBatch, None]):
    """Sink of ``(partition_key, RawBatch)`` items of one topic.

    Parameters
    ----------
    beginnings
        By partition: from where on messages are wanted.
    interval_s
        Longest time a message waits to be written.
    most_rows
        So many messages of a partition are written at once.
    on_flush
        Called by the partition's thread after each run; must be quick.
    on_error
        Called by the partition's thread with what ended it.
    progress
        Shared with the source and the watchdog.
    """

    def __init__(
        self,
        storage: Storage,
        topic: str,
        beginnings: Mapping[int, Beginning],
        interval_s: float,
        most_rows: int,
        on_flush: FlushObserver,
        on_error: ErrorHandler,
        progress: Progress,
    ) -> None:
        self._storage = storage
        self._topic = topic
        self._beginnings = beginnings
        self._interval_s = interval_s
        self._most_rows = most_rows
        self._on_flush = on_flush
        self._on_error = on_error
        self._progress = progress

    def list_parts(self) -> list[str]:
        """Name all partitions."""
        return [partition_key(partition) for partition in self._beginnings]

    def part_fn(self, item_key: str) -> int:
        """Route partition k of the topic to partition k of the sink."""
        return int(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[RawBatch, None]:
        """Start the partition's thread, which takes the partition over in the archive."""
        del step_id, resume_state
        partition = int(for_part)
        writer = ArchiveWriter(self._storage, self._topic, partition, self._beginnings[partition])
        return ArchivePartition(
            writer,
            self._interval_s,
            self._most_rows,
            self._on_flush,
            self._on_error,
            self._progress,
        )


class ArchivePartition(PartitionThread[RawBatch, Flush]):
    """One partition's thread and its queue; writes a run that is large or old enough."""

    def __init__(
        self,
        writer: ArchiveWriter,
        interval_s: float,
        most_rows: int,
        on_flush: FlushObserver,
        on_error: ErrorHandler,
        progress: Progress,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._archive = writer
        self._most_rows = most_rows
        super().__init__(writer, interval_s, on_flush, on_error, progress, on_open)

    def _at_end(self) -> None:
        self._archive.close()

    def _is_due(self, item: RawBatch) -> bool:
        del item
        return self._archive.rows >= self._most_rows
