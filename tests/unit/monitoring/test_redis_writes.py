"""The metric that says whether Redis takes what a flow writes."""

import pytest
import redis

from flows.connectors.redis import LatestWriter
from flows.monitoring.metrics import PipelineMetrics
from tests.support.embedded import Valkey
from tests.support.polling import until
from tests.unit.connectors.redis.entries import entry


def sample(metrics: PipelineMetrics) -> float | None:
    return metrics.registry.get_sample_value("voltick_redis_up", {"written": "scores"})


def test_without_redis_there_is_nothing_to_alert_of() -> None:
    assert sample(PipelineMetrics()) is None


REFUSALS = {
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "not allowed": (
        ("ACL", "SETUSER", "default", "-eval", "-evalsha", "-script"),
        ("ACL", "SETUSER", "default", "+@all"),
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_redis_that_refuses_writes_is_seen_until_it_takes_them(
    valkey: Valkey, refusal: str
) -> None:
    refuse, heal = REFUSALS[refusal]
    metrics = PipelineMetrics()
    writer = LatestWriter(valkey.url, 5)
    metrics.redis.watch("scores", lambda: writer.is_away)
    with redis.Redis.from_url(valkey.url) as admin:
        try:
            writer.put([entry(1)])
            until(lambda: admin.exists("voltick:latest:BTC-USD"), "the first write")
            assert sample(metrics) == 1.0
            admin.execute_command(*refuse)
            writer.put([entry(2)])
            until(lambda: sample(metrics) == 0.0, "the refusal to show")
            admin.execute_command(*heal)
            until(lambda: sample(metrics) == 1.0, "the end of the refusal to show")
        finally:
            admin.execute_command(*heal)
            writer.close()
