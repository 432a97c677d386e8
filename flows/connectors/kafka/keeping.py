"""Whether topics keep what is written to them: nothing merged by key, nothing deleted too soon."""

from collections.abc import Iterable

import structlog

from flows.connectors.kafka.client import ANSWER_LIMIT_S, ClientConfig
from flows.connectors.kafka.topic_settings import TopicSettings, topic_settings
from flows.errors import BrokerError
from schemas import topics

LEAST_HOURS = 26
"""What a restart may need of ``ticks.raw``: a silent symbol is remembered for a day."""

_POLICY = "cleanup.policy"
_RETENTION = "retention.ms"
_HOUR_MS = 3_600_000

FOR_EVER: TopicSettings = {_POLICY: "delete", _RETENTION: "-1", "retention.bytes": "-1"}
"""Of a topic that keeps all that is written to it."""


def require_kept(
    config: ClientConfig, names: Iterable[str], timeout_s: float = ANSWER_LIMIT_S
) -> None:
    """Refuse topics that lose messages as they go; warn of those that delete them too soon.

    Raises
    ------
    BrokerError
        A topic is compacted.
    """
    settings = _settings_of(config, names, timeout_s)
    for name, found in settings.items():
        problem = losing(name, found)
        if problem is not None:
            raise BrokerError(problem)
    for name, found in settings.items():
        problem = too_short(name, found)
        if problem is not None:
            structlog.get_logger().warning(problem)


def losses(
    config: ClientConfig, topic: str, timeout_s: float = ANSWER_LIMIT_S
) -> tuple[str | None, str | None]:
    """Return why a topic loses messages, and why it deletes them too soon; None where it does not.

    None also where the broker does not tell.
    """
    found = _settings_of(config, [topic], timeout_s).get(topic, {})
    return losing(topic, found), too_short(topic, found)


def losing(name: str, settings: TopicSettings) -> str | None:
    """Return why a topic with these settings loses messages; None where it does not."""
    # Of the ids of dead letters, which are their keys, compaction leaves each.
    if name == topics.REDRIVEN or "compact" not in settings.get(_POLICY, ""):
        return None
    return (
        f"topic {name} has {_POLICY}={settings[_POLICY]}: of the messages with one key Kafka"
        f" deletes all but the newest, so that nearly all are lost; set {_POLICY}=delete on it"
    )


def too_short(name: str, settings: TopicSettings) -> str | None:
    """Return why a topic with these settings deletes messages too soon; None where it does not."""
    retention = settings.get(_RETENTION, "-1")
    if not retention.isdecimal() or "delete" not in settings.get(_POLICY, "delete"):
        return None
    hours = int(retention) / _HOUR_MS
    if name == topics.REDRIVEN:
        return (
            f"topic {name} has {_RETENTION}={retention}: after {hours:g} hours it is forgotten that"
            f" a dead letter was put back, and it can be once more; set {_RETENTION}=-1 on it"
        )
    if name == topics.TICKS_RAW and hours < LEAST_HOURS:
        return (
            f"topic {name} has {_RETENTION}={retention}, {hours:g} hours, and a restart may need"
            f" {LEAST_HOURS}; set {_RETENTION}={LEAST_HOURS * _HOUR_MS} or more on it"
        )
    return None


def _settings_of(
    config: ClientConfig, names: Iterable[str], timeout_s: float
) -> dict[str, TopicSettings]:
    """Return the settings of topics by name; without those that the broker does not tell."""
    found, causes = topic_settings(config, names, timeout_s)
    if causes:
        structlog.get_logger().warning(
            "how long topics keep their messages is not known", cause=next(iter(causes.values()))
        )
    return found
