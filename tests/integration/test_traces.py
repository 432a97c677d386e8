"""A running pipeline sends one trace a batch to a collector, and names it in its histogram."""

import re
from pathlib import Path

import httpx
import pytest

from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import fill
from tests.support.pipeline import pipeline, tick, wait_committed
from tests.support.polling import free_ports, until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is missing")

from tests.support.collector import Collector

STEPS = ("receive", "decode", "features", "score", "encode", "commit")
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TICKS = 60


@pytest.mark.timeout(300)
def test_every_batch_is_a_trace_and_the_latency_histogram_names_one(
    embedded_broker: EmbeddedBroker, group: str, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    with Collector() as collector:
        settings = {
            "VOLTICK_TRACES": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "VOLTICK_METRICS_PORT": str(port),
        }
        with pipeline(embedded_broker, group, tmp_path, **settings) as process:
            process.wait_for_log("pipeline ready", 90.0)
            fill(embedded_broker.client_config(), [tick(number) for number in range(TICKS)])
            wait_committed(embedded_broker, group, TICKS)

            def counted() -> int:
                roots = [spans["batch"] for spans in collector.traces().values()]
                return sum(_attributes(root)["messaging.batch.message_count"] for root in roots)

            until(lambda: counted() == TICKS, "a trace of every tick's batch", 60.0)
            page = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=OPENMETRICS).text
            process.terminate()
            assert process.wait_exit(20) == 0, process.tail()
            assert "Traceback" not in process.stderr
    for spans in collector.traces().values():
        root = spans.pop("batch")
        assert sorted(spans) == sorted(STEPS)
        assert {span.parent_span_id for span in spans.values()} == {root.span_id}
        assert _attributes(root)["messaging.destination.name"] == topics.TICKS_RAW
        times = [
            (spans[name].start_time_unix_nano, spans[name].end_time_unix_nano) for name in STEPS
        ]
        assert all(begin <= end for begin, end in times)
        ends = [end for _begin, end in times]
        assert ends == sorted(ends)
        assert root.start_time_unix_nano == times[0][0]
        assert root.end_time_unix_nano == ends[-1]
    assert collector.services == {"voltick-pipeline"}
    named = re.findall(r'voltick_tick_to_commit_seconds_bucket\{.*# \{trace_id="(\w+)"\}', page)
    assert named
    assert set(named) <= set(collector.traces())


def _attributes(span) -> dict:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }
