"""Which settings of a topic lose messages, or delete them too soon."""

import pytest

from flows.connectors.kafka.keeping import LEAST_HOURS, losing, too_short
from schemas import topics

HOUR_MS = 3_600_000


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
@pytest.mark.parametrize("topic", topics.ALL)
def test_a_compacted_topic_loses_messages(topic: str, policy: str) -> None:
    problem = losing(topic, {"cleanup.policy": policy})
    assert problem is not None
    assert f"topic {topic} has cleanup.policy={policy}" in problem
    assert "set cleanup.policy=delete" in problem


@pytest.mark.parametrize("settings", [{"cleanup.policy": "delete"}, {}], ids=["delete", "untold"])
@pytest.mark.parametrize("topic", topics.ALL)
def test_other_topics_lose_none(topic: str, settings: dict[str, str]) -> None:
    assert losing(topic, settings) is None


def test_ids_are_keys_of_which_compaction_leaves_each() -> None:
    kept = {"cleanup.policy": "compact", "retention.ms": str(HOUR_MS)}
    assert losing(topics.REDRIVEN, kept) is None
    assert too_short(topics.REDRIVEN, kept) is None


@pytest.mark.parametrize(
    ("topic", "retention_ms"),
    [
        (topics.TICKS_RAW, 0),
        (topics.TICKS_RAW, LEAST_HOURS * HOUR_MS - 1),
        (topics.REDRIVEN, 7 * 24 * HOUR_MS),
    ],
)
def test_what_is_needed_for_longer_is_named_with_its_retention(
    topic: str, retention_ms: int
) -> None:
    problem = too_short(topic, {"cleanup.policy": "delete", "retention.ms": str(retention_ms)})
    assert problem is not None
    assert problem.startswith(f"topic {topic} has retention.ms={retention_ms}")


@pytest.mark.parametrize(
    ("topic", "retention_ms"),
    [
        (topics.TICKS_RAW, LEAST_HOURS * HOUR_MS),
        (topics.TICKS_RAW, -1),
        (topics.REDRIVEN, -1),
        (topics.PREDICTIONS, HOUR_MS),
    ],
)
def test_what_is_kept_for_long_enough_is_not(topic: str, retention_ms: int) -> None:
    assert too_short(topic, {"retention.ms": str(retention_ms)}) is None
    assert too_short(topic, {}) is None
