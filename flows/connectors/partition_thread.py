"""One partition's thread of a sink, and the bounded queue that feeds it.

Blocking: while the queue is full, that is, where what is written to is slower than the flow.
Otherwise the flow goes on while the thread writes.
"""

import queue
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from bytewax.outputs import StatefulSinkPartition

from flows.connectors.kafka.watchdog import Progress

# The broker forgets a commit after a week by default, and after a day in old versions, unless it is
# made again; nothing but time ends an idle partition's.
KEEP_ALIVE_S = 600.0
# Enough to keep the thread busy; more would only add latency under backlog.
QUEUED_BATCHES = 8
_LOOK_S = 0.5

Item = TypeVar("Item")
Taken = TypeVar("Taken", contravariant=True)
Done = TypeVar("Done")
Made = TypeVar("Made", covariant=True)

ErrorHandler = Callable[[BaseException], None]


class Writer(Protocol[Taken, Made]):
    """Writes one partition; used by its thread alone."""

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def floor(self) -> int:
        """What lies below this offset is written already."""

    @property
    def is_open(self) -> bool:
        """Whether something waits for a commit."""

    @property
    def age_s(self) -> float:
        """How long it has waited, seconds."""

    def leave(self) -> None:
        """Take nothing over any more: the partition may have its next owner."""

    def take_over(self, is_wanted: Callable[[], bool] = ...) -> None:
        """Take the partition over; return early once that is not wanted any more."""

    def keep_alive(self) -> None: ...  # noqa: D102
    def write(self, batch: Taken, /) -> None: ...  # noqa: D102
    def commit(self) -> Made: ...  # noqa: D102


class PartitionThread(StatefulSinkPartition[Item, None], Generic[Item, Done]):
    """One partition's thread and the queue that feeds it.

    Parameters
    ----------
    writer
        Used by the thread alone.
    interval_s
        Longest time that something waits for a commit.
    on_commit
        Called by the thread after each commit; must be quick.
    on_error
        Called by the thread with what ended it.
    on_open
        Called by the thread once the partition is taken over.
    """

    def __init__(
        self,
        writer: Writer[Item, Done],
        interval_s: float,
        on_commit: Callable[[Done], None],
        on_error: ErrorHandler,
        progress: Progress | None = None,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._progress = progress or Progress()
        self._on_open = on_open
        self._ending = threading.Event()
        self._dropped = threading.Event()
        self._was_used = False
        self._writer = writer
        self._interval_s = interval_s
        self._on_commit = on_commit
        self._on_error = on_error
        self._queue: queue.Queue[Item | None] = queue.Queue(QUEUED_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="partition-writer", daemon=True)
        self._thread.start()

    def write_batch(self, values: Sequence[Item]) -> None:
        """Hand batches to the thread; blocks while the queue is full.

        Raises
        ------
        VoltickError
            What ended the thread.
        """
        for batch in values:
            self._put(batch)

    def snapshot(self) -> None:
        """Return no state: what is written decides where to continue, not the engine."""
        return

    def close(self) -> None:
        """Commit what is complete and end the thread."""
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    @property
    def has_room(self) -> bool:
        """Whether a batch or two can be handed over without waiting."""
        return self._queue.qsize() <= QUEUED_BATCHES // 2

    def end(self, *, commit: bool) -> None:
        """Let the thread end, once what it was handed is committed, or at once; does not wait.

        What is not committed is written again by the partition's next owner.
        """
        if not commit:
            self._dropped.set()
        self._writer.leave()
        self._ending.set()
        with suppress(queue.Full):  # a thread that has something to do looks at the events
            self._queue.put_nowait(None)

    def join(self, limit_s: float) -> bool:
        """Wait for the thread's end; return whether it came in time."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    @abstractmethod
    def _is_due(self, item: Item) -> bool:
        """Tell whether to commit now that this item is written."""

    def _at_end(self) -> None:
        """Give back what the partition holds; called by the thread when it ends."""
        return

    def _is_wanted(self) -> bool:
        """Tell whether the thread has something to do, or may get it."""
        return self._was_used or not self._ending.is_set()

    def _put(self, item: Item | None) -> None:
        self._was_used = True
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
            self._writer.take_over(self._is_wanted)
            if not self._is_wanted():
                return
            self._note_progress()
            self._on_open()
            while (item := self._next()) is not None and not self._dropped.is_set():
                if not isinstance(item, Overdue):
                    self._writer.write(item)
                if self._writer.is_open and self._is_due_after(item):
                    self._commit()
            if self._writer.is_open and not self._dropped.is_set():
                self._commit()
        except BaseException as error:  # whatever ends the thread has to reach the flow
            self._error = error
            self._on_error(error)
        finally:
            self._at_end()

    def _next(self) -> "Item | Overdue | None":
        """Wait for a batch, at most until what waits is due; None is the end."""
        while not self._writer.is_open:
            if self._has_ended:
                return None
            try:
                return self._queue.get(timeout=KEEP_ALIVE_S)
            except queue.Empty:
                self._writer.keep_alive()
        if self._has_ended:
            return None
        left_s = self._interval_s - self._writer.age_s
        try:
            return (
                self._queue.get(timeout=max(left_s, 0.0))
                if left_s > 0
                else self._queue.get_nowait()
            )
        except queue.Empty:
            return OVERDUE

    @property
    def _has_ended(self) -> bool:
        # A queue that was full when the end was told has no room for saying so.
        return self._ending.is_set() and self._queue.empty()

    def _is_due_after(self, item: "Item | Overdue") -> bool:
        if isinstance(item, Overdue) or self._writer.age_s >= self._interval_s:
            return True
        return self._is_due(item)

    def _commit(self) -> None:
        done = self._writer.commit()
        self._note_progress()
        self._on_commit(done)

    def _note_progress(self) -> None:
        # An earlier owner may have come further than the source knew when it started.
        known = self._progress.committed.get(self._writer.partition, 0)
        self._progress.committed[self._writer.partition] = max(known, self._writer.floor)


class Overdue:
    """No batch came, and what waits is old enough to be committed."""


OVERDUE = Overdue()
