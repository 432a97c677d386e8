"""Keep exceptions of sources and sinks from the engine, which would panic."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NoReturn, TypeVar

from bytewax.inputs import (
    DynamicSource,
    FixedPartitionedSource,
    StatefulSourcePartition,
    StatelessSourcePartition,
)
from bytewax.outputs import (
    DynamicSink,
    FixedPartitionedSink,
    StatefulSinkPartition,
    StatelessSinkPartition,
)

X = TypeVar("X")
T = TypeVar("T")

ErrorHandler = Callable[[BaseException], NoReturn]
PartObserver = Callable[[int], None]


class FailFastSource(FixedPartitionedSource[X, None]):
    """A source whose errors end the process instead of reaching the engine.

    Where it starts, what it delivers and whether it blocks is the wrapped source's.

    Parameters
    ----------
    source
        Does the reading.
    on_error
        Reports the error and ends the process.
    """

    def __init__(self, source: FixedPartitionedSource[X, None], on_error: ErrorHandler) -> None:
        self._source = source
        self._on_error = on_error

    def list_parts(self) -> list[str]:
        """Name the wrapped source's partitions."""
        return _attempt(self._source.list_parts, self._on_error)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSourcePartition[X, None]:
        """Build the wrapped partition."""
        part = _attempt(
            lambda: self._source.build_part(step_id, for_part, resume_state), self._on_error
        )
        return _SourcePart(part, self._on_error)


class _SourcePart(StatefulSourcePartition[X, None]):
    def __init__(self, part: StatefulSourcePartition[X, None], on_error: ErrorHandler) -> None:
        self._part = part
        self._on_error = on_error

    def next_batch(self) -> Iterable[X]:
        return _next_batch(self._part, self._on_error)

    def next_awake(self) -> datetime | None:
        return self._part.next_awake()

    def snapshot(self) -> None:
        return self._part.snapshot()

    def close(self) -> None:
        _attempt(self._part.close, self._on_error)


class FailFastSink(FixedPartitionedSink[X, None]):
    """A sink whose errors end the process instead of reaching the engine.

    What it delivers and whether it blocks is the wrapped sink's.

    Parameters
    ----------
    sink
        Does the writing.
    on_error
        Reports the error and ends the process.
    observe
        Called with 1 for each partition that is opened, and with -1 once it is closed.
    """

    def __init__(
        self,
        sink: FixedPartitionedSink[X, None],
        on_error: ErrorHandler,
        observe: PartObserver = lambda _change: None,
    ) -> None:
        self._sink = sink
        self._on_error = on_error
        self._observe = observe

    def list_parts(self) -> list[str]:
        """Name the wrapped sink's partitions."""
        return _attempt(self._sink.list_parts, self._on_error)

    def part_fn(self, item_key: str) -> int:
        """Route as the wrapped sink does."""
        return self._sink.part_fn(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[X, None]:
        """Build the wrapped partition."""
        part = _attempt(
            lambda: self._sink.build_part(step_id, for_part, resume_state), self._on_error
        )
        self._observe(1)
        return _SinkPart(part, self._on_error, self._observe)


class _SinkPart(StatefulSinkPartition[X, None]):
    def __init__(
        self, part: StatefulSinkPartition[X, None], on_error: ErrorHandler, observe: PartObserver
    ) -> None:
        self._part = part
        self._on_error = on_error
        self._observe = observe

    def write_batch(self, values: Sequence[X]) -> None:
        _attempt(lambda: self._part.write_batch(list(values)), self._on_error)

    def snapshot(self) -> None:
        return self._part.snapshot()

    def close(self) -> None:
        _attempt(self._part.close, self._on_error)
        self._observe(-1)


class FailFastWorkersSource(DynamicSource[X]):
    """A source of one part per worker whose errors end the process; see :class:`FailFastSource`."""

    def __init__(self, source: DynamicSource[X], on_error: ErrorHandler) -> None:
        self._source = source
        self._on_error = on_error

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSourcePartition[X]:
        """Build the wrapped part."""
        part = _attempt(
            lambda: self._source.build(step_id, worker_index, worker_count), self._on_error
        )
        return _WorkerSource(part, self._on_error)


class _WorkerSource(StatelessSourcePartition[X]):
    def __init__(self, part: StatelessSourcePartition[X], on_error: ErrorHandler) -> None:
        self._part = part
        self._on_error = on_error

    def next_batch(self) -> Iterable[X]:
        return _next_batch(self._part, self._on_error)

    def next_awake(self) -> datetime | None:
        return self._part.next_awake()

    def close(self) -> None:
        _attempt(self._part.close, self._on_error)


class FailFastWorkersSink(DynamicSink[X]):
    """A sink of one part per worker whose errors end the process; see :class:`FailFastSink`."""

    def __init__(
        self,
        sink: DynamicSink[X],
        on_error: ErrorHandler,
        observe: PartObserver = lambda _change: None,
    ) -> None:
        self._sink = sink
        self._on_error = on_error
        self._observe = observe

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[X]:
        """Build the wrapped part."""
        part = _attempt(
            lambda: self._sink.build(step_id, worker_index, worker_count), self._on_error
        )
        self._observe(1)
        return _WorkerSink(part, self._on_error, self._observe)


class _WorkerSink(StatelessSinkPartition[X]):
    def __init__(
        self, part: StatelessSinkPartition[X], on_error: ErrorHandler, observe: PartObserver
    ) -> None:
        self._part = part
        self._on_error = on_error
        self._observe = observe

    def write_batch(self, items: list[X]) -> None:
        _attempt(lambda: self._part.write_batch(items), self._on_error)

    def close(self) -> None:
        _attempt(self._part.close, self._on_error)
        self._observe(-1)


def _attempt(call: Callable[[], T], on_error: ErrorHandler) -> T:
    try:
        return call()
    except BaseException as error:
        on_error(error)


def _next_batch(
    part: StatefulSourcePartition[X, None] | StatelessSourcePartition[X], on_error: ErrorHandler
) -> Iterable[X]:
    try:
        return part.next_batch()
    except StopIteration:  # the engine's own word for the end
        raise
    except BaseException as error:
        on_error(error)
