"""One trace for each batch, sent by OTLP: how long each step of its way took.

The steps only note their times; spans are made after the commit, by the thread that committed.
Where traces are off, no step is wrapped, and OpenTelemetry is not imported.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.errors import ConfigurationError, needs_extra
from flows.numeric.time import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_In = TypeVar("_In")
_Out = TypeVar("_Out")

SERVICE: Final = "voltick-pipeline"
PROTOCOL: Final = "http/protobuf"
MOST_OPEN: Final = 4_096
"""So many batches wait for their commit at most; older ones are given up."""


class _OfBatch(Protocol):
    """What both ends of a batch's way have in common."""

    @property
    def partition(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def next_offset(self) -> int: ...


def _key(batch: _OfBatch) -> tuple[int, int, int]:
    return batch.partition, batch.epoch, batch.next_offset


@dataclass(slots=True)
class _Times:
    """What is known of a batch; a step's times are nanoseconds since the UNIX epoch."""

    messages: int
    first_offset: int
    steps: list[tuple[str, int, int]] = field(default_factory=list)


class BatchTraces:
    """Times of the batches that are on their way, and their traces once they are committed.

    Safe for use by several threads.

    Parameters
    ----------
    tracer
        Makes the spans.
    topic
        Where the batches come from.
    """

    def __init__(self, tracer: "Tracer", topic: str) -> None:
        self._tracer = tracer
        self._topic = topic
        self._open: dict[tuple[int, int, int], _Times] = {}
        self._lock = threading.Lock()

    def timed(
        self, name: str, step: Callable[[_In], _Out], raw_of: Callable[[_In], RawBatch]
    ) -> Callable[[_In], _Out]:
        """Return a step that notes when it began and ended.

        Parameters
        ----------
        name
            Of its span.
        raw_of
            Returns the raw batch that the step's input came from.
        """

        def call(item: _In) -> _Out:
            begin_ns = time.time_ns()
            made = step(item)
            raw = raw_of(item)
            if raw.emit and raw.values:
                self._note(raw, name, begin_ns, time.time_ns())
            return made

        return call

    def end(self, batch: OutputBatch, commit_s: float, committed_ns: int) -> str | None:
        """Send the trace of a committed batch.

        Parameters
        ----------
        commit_s
            How long the commit took, which other batches may have shared, seconds.
        committed_ns
            When it was done, nanoseconds since the UNIX epoch.

        Returns
        -------
        The trace's id, 32 hexadecimal digits; None where it is not sampled.
        """
        times = self._take(batch)
        if times is None:
            return None
        read_ns = times.steps[0][1]
        logged_ns = read_ns if batch.oldest_ms is None else batch.oldest_ms * NS_PER_MS
        begin_ns = min(logged_ns, read_ns)
        root = self._root(batch, times, begin_ns)
        context = root.get_span_context()
        if root.is_recording():
            commit_ns = committed_ns - round(commit_s * NS_PER_S)
            steps = [("receive", begin_ns, read_ns), *times.steps]
            self._children(root, [*steps, ("commit", commit_ns, committed_ns)])
        root.end(committed_ns)
        return f"{context.trace_id:032x}" if context.trace_flags.sampled else None

    def _root(self, batch: OutputBatch, times: _Times, begin_ns: int) -> "Span":
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            "batch",
            kind=SpanKind.CONSUMER,
            start_time=begin_ns,
            attributes={
                "messaging.system": "kafka",
                "messaging.destination.name": self._topic,
                "messaging.destination.partition.id": str(batch.partition),
                "messaging.batch.message_count": times.messages,
                "messaging.kafka.offset": times.first_offset,
            },
        )

    def _children(self, root: "Span", steps: list[tuple[str, int, int]]) -> None:
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(root)
        for name, begin_ns, end_ns in steps:
            span = self._tracer.start_span(name, context=context, start_time=begin_ns)
            span.end(end_ns)

    def _note(self, raw: RawBatch, name: str, begin_ns: int, end_ns: int) -> None:
        with self._lock:
            times = self._open.get(_key(raw))
            if times is None:
                times = self._open[_key(raw)] = _Times(len(raw.values), raw.offsets[0])
                if len(self._open) > MOST_OPEN:
                    del self._open[next(iter(self._open))]
            times.steps.append((name, begin_ns, end_ns))

    def _take(self, batch: OutputBatch) -> _Times | None:
        with self._lock:
            return self._open.pop(_key(batch), None)


def open_traces(topic: str) -> BatchTraces:
    """Return traces that are sent where the ``OTEL_`` variables of the environment say.

    Raises
    ------
    ConfigurationError
        The extra ``otel`` is not installed, or another protocol than HTTP is asked for.
    """
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(name, PROTOCOL)
        if protocol != PROTOCOL:
            message = f"{name}={protocol} is not spoken here; set {PROTOCOL}, or leave it out"
            raise ConfigurationError(message)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(needs_extra("VOLTICK_TRACES", "otel")) from None
    named = OTELResourceDetector().detect().attributes.get(SERVICE_NAME)
    resource = Resource.create({SERVICE_NAME: named or SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return BatchTraces(provider.get_tracer("voltick"), topic)
