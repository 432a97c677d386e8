"""The flow's only sink: transactions per partition, written by a thread each.

Delivery: exactly once for readers of committed data, see :mod:`.transactions`.
Blocking: while a partition's bounded queue is full, that is, where the broker is slower than the
flow. Otherwise a thread per partition lets the flow go on while the broker commits.
Resumes: at the committed offset; outputs of inputs before it are dropped.
"""

from collections.abc import Callable, Sequence

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.codec.batch import partition_key
from flows.codec.outputs import OutputBatch
from flows.connectors.kafka.client import BATCH_BYTES, ClientConfig
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.transactions import Commit, TransactionalWriter
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import ErrorHandler, PartitionThread

CommitObserver = Callable[[Commit], None]


class TransactionalSink(FixedPartitionedSink[OutputBatch, None]):
    """Sink of ``(partition_key, OutputBatch)`` items of one input topic, exactly once.

    Writing blocks while the broker is slower than the flow. Nothing is kept in the engine's
    recovery: the committed input offset decides what is written already.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    group, topic
        Whose offsets on which input topic are committed.
    partitions
        Of the input and of every output topic.
    commit_interval_ms
        Longest time a transaction stays open while there is more to write.
    transaction_timeout_ms
        After this the broker aborts a transaction whose owner fell silent.
    on_commit
        Called by the partition's thread after each commit; must be quick.
    on_error
        Called by the partition's thread with what ended it.
    progress
        Shared with the source, which paces itself by it, and the watchdog.
    starts
        Where each partition was planned to start; those of a new group, and those that replace a
        commit, are committed first.
    writes
        The flow's main output topic.
    batch_bytes
        The largest batch that every output topic takes.
    """

    def __init__(
        self,
        config: ClientConfig,
        group: str,
        topic: str,
        partitions: int,
        commit_interval_ms: int,
        transaction_timeout_ms: int,
        on_commit: CommitObserver,
        on_error: ErrorHandler,
        progress: Progress | None = None,
        starts: Sequence[Start] = (),
        writes: str | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        planned = {start.partition: start for start in starts}
        self._targets = {
            partition_key(partition): Target(
                config,
                group,
                topic,
                partition,
                transaction_timeout_ms,
                planned.get(partition),
                writes,
                batch_bytes,
            )
            for partition in range(partitions)
        }
        self._interval_s = commit_interval_ms / 1000
        self._on_commit = on_commit
        self._on_error = on_error
        self._progress = progress or Progress()

    def list_parts(self) -> list[str]:
        """Return the names of all partitions: every process can write each of them."""
        return list(self._targets)

    def part_fn(self, item_key: str) -> int:
        """Route partition k of the input to partition k of the sink."""
        return int(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[OutputBatch, None]:
        """Start the partition's thread, which takes the partition over from earlier owners."""
        del step_id, resume_state
        writer = TransactionalWriter(self._targets[for_part])
        return PartitionWriter(
            writer, self._interval_s, self._on_commit, self._on_error, self._progress
        )


class PartitionWriter(PartitionThread[OutputBatch, Commit]):
    """One partition's thread; commits once the source has caught up, or the transaction is old."""

    def _is_due(self, item: OutputBatch) -> bool:
        return item.caught_up and self._queue.empty()
