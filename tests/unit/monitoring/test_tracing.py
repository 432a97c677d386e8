"""Times of batches become traces once they are committed, and only where that is asked for."""

import subprocess
import sys

import numpy as np
import pytest

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.errors import ConfigurationError
from flows.monitoring import tracing
from flows.monitoring.tracing import BatchTraces, open_traces

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is missing")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF


def raw(next_offset: int, **changes) -> RawBatch:
    fields = {"values": [b"{}"], "offsets": [next_offset - 1], "timestamps_ms": [1]} | changes
    return RawBatch(partition=2, next_offset=next_offset, **fields)


def output(of: RawBatch) -> OutputBatch:
    return OutputBatch(
        partition=of.partition,
        next_offset=of.next_offset,
        rebuild_from=0,
        caught_up=True,
        emit=of.emit,
        records=[],
        latest=[],
        passed=[],
        oldest_ms=of.timestamps_ms[0] if of.timestamps_ms else None,
        newest_ms=None,
        epoch=of.epoch,
    )


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(spans: InMemorySpanExporter) -> BatchTraces:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return BatchTraces(provider.get_tracer("test"), "ticks.raw")


def test_a_committed_batch_is_one_trace(traces: BatchTraces, spans: InMemorySpanExporter) -> None:
    decode = traces.timed("decode", lambda item: item, lambda item: item)
    assert decode(raw(7)) == raw(7)
    trace = traces.end(output(raw(7)), 0.5, 10**19 // 2)
    *children, root = spans.get_finished_spans()
    assert [span.name for span in children] == ["receive", "decode", "commit"]
    assert trace == f"{root.context.trace_id:032x}"
    assert {span.context.trace_id for span in children} == {root.context.trace_id}
    assert root.start_time == 1_000_000
    assert children[-1].end_time - children[-1].start_time == 500_000_000
    assert root.attributes is not None
    assert root.attributes["messaging.kafka.offset"] == 6
    assert traces.end(output(raw(7)), 0.5, 10**19 // 2) is None  # it has been sent


@pytest.mark.parametrize(
    "batch",
    [raw(7, emit=False), raw(7, values=[], offsets=[], timestamps_ms=[])],
    ids=["rebuilding", "idle"],
)
def test_what_only_rebuilds_or_is_idle_has_no_trace(
    batch: RawBatch, traces: BatchTraces, spans: InMemorySpanExporter
) -> None:
    traces.timed("decode", lambda item: item, lambda item: item)(batch)
    assert traces.end(output(batch), 0.1, 10**18) is None
    assert spans.get_finished_spans() == ()


def test_a_batch_that_is_not_sampled_has_no_id() -> None:
    traces = BatchTraces(TracerProvider(sampler=ALWAYS_OFF).get_tracer("test"), "ticks.raw")
    traces.timed("decode", lambda item: item, lambda item: item)(raw(7))
    assert traces.end(output(raw(7)), 0.1, 10**18) is None


def test_batches_that_are_never_committed_do_not_pile_up(
    traces: BatchTraces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MOST_OPEN", 3)
    step = traces.timed("decode", lambda item: item, lambda item: item)
    for number in np.arange(1, 9).tolist():
        step(raw(number))
    sent = [traces.end(output(raw(number)), 0.1, 10**18) is not None for number in range(1, 9)]
    assert sent == [False] * 5 + [True] * 3


def test_another_protocol_and_a_missing_extra_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_PROTOCOL=grpc"):
        open_traces("ticks.raw")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"\[otel\]"):
        open_traces("ticks.raw")


def test_a_pipeline_without_traces_imports_none_of_it() -> None:
    # The API alone may come with another package.
    code = "import flows.pipeline, sys; print([m for m in sys.modules if 'telemetry.exp' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
