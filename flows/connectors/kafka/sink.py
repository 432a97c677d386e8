"""The flow's only sink: transactions per partition, written by a thread each.

Delivery: exactly once for readers of committed data, see :mod:`.transactions`.
Blocking: while a partition's bounded queue is full, that is, where the broker is slower than the
flow. Otherwise a thread per partition lets the flow go on while the broker commits.
Resumes: at the committed offset; outputs of inputs before it are dropped.
"""

import queue
import threading
from collections.abc import Callable, Sequence

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.codec.batch import partition_key
from flows.codec.outputs import OutputBatch
from flows.connectors.kafka.client import ClientConfig
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.transactions import Commit, Target, TransactionalWriter
from flows.connectors.kafka.watchdog import Progress

# The broker forgets a commit after a week by default, and after a day in old versions, unless it is
# made again; nothing but time ends an idle partition's.
KEEP_ALIVE_S = 600.0
# Enough to keep the thread busy; more would only add latency under backlog.
QUEUED_BATCHES = 8
_LOOK_S = 0.5

CommitObserver = Callable[[Commit], None]
ErrorHandler = Callable[[BaseException], None]


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


class PartitionWriter(StatefulSinkPartition[OutputBatch, None]):
    """One partition's thread and the queue that feeds it.

    Parameters
    ----------
    writer
        Used by the thread alone.
    interval_s
        Longest age of an open transaction.
    """

    def __init__(
        self,
        writer: TransactionalWriter,
        interval_s: float,
        on_commit: CommitObserver,
        on_error: ErrorHandler,
        progress: Progress | None = None,
    ) -> None:
        self._progress = progress or Progress()
        self._writer = writer
        self._interval_s = interval_s
        self._on_commit = on_commit
        self._on_error = on_error
        self._queue: queue.Queue[OutputBatch | None] = queue.Queue(QUEUED_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="kafka-writer", daemon=True)
        self._thread.start()

    def write_batch(self, values: Sequence[OutputBatch]) -> None:
        """Hand batches to the thread; blocks while the queue is full.

        Raises
        ------
        VoltickError
            What ended the thread.
        """
        for batch in values:
            self._put(batch)

    def snapshot(self) -> None:
        """Return no state: the committed offset alone decides what is written already."""
        return

    def close(self) -> None:
        """Commit what is complete and end the thread."""
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _put(self, item: OutputBatch | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        try:
            self._writer.take_over()
            self._note_progress()
            while (item := self._next()) is not None:
                if isinstance(item, OutputBatch):
                    self._writer.write(item)
                if self._writer.is_open and self._is_due(item):
                    self._commit()
            if self._writer.is_open:
                self._commit()
        except BaseException as error:  # whatever ends the thread has to reach the flow
            self._error = error
            self._on_error(error)

    def _next(self) -> "OutputBatch | Overdue | None":
        """Wait for a batch, at most until the open transaction is due; None is the end."""
        while not self._writer.is_open:
            try:
                return self._queue.get(timeout=KEEP_ALIVE_S)
            except queue.Empty:
                self._writer.keep_alive()
        left_s = self._interval_s - self._writer.age_s
        try:
            return (
                self._queue.get(timeout=max(left_s, 0.0))
                if left_s > 0
                else self._queue.get_nowait()
            )
        except queue.Empty:
            return OVERDUE

    def _is_due(self, item: "OutputBatch | Overdue") -> bool:
        if isinstance(item, Overdue) or self._writer.age_s >= self._interval_s:
            return True
        return item.caught_up and self._queue.empty()

    def _commit(self) -> None:
        commit = self._writer.commit()
        self._note_progress()
        self._on_commit(commit)

    def _note_progress(self) -> None:
        # An earlier owner may have come further than the source knew when it started.
        known = self._progress.committed.get(self._writer.partition, 0)
        self._progress.committed[self._writer.partition] = max(known, self._writer.floor)


class Overdue:
    """No batch came, and the open transaction is old enough to be committed."""


OVERDUE = Overdue()
