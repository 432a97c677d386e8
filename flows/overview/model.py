"""The overview as one object, and the arithmetic between two looks."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from flows.numeric.time import NS_PER_S

# The groups of the flows, behind VOLTICK_GROUP, and what each reads.
GROUPS: Mapping[str, tuple[str, str]] = {
    "pipeline": ("", "ticks.raw"),
    "outcomes": ("-outcomes", "predictions"),
    "candles": ("-candles", "ticks.raw"),
}


class TopicView(msgspec.Struct, frozen=True, kw_only=True):
    """A topic.

    Attributes
    ----------
    messages
        About how many it holds: offsets between beginning and end.
    end
        Sum of the partitions' ends.
    rate_hz
        Messages that came per second since the look before; null in the first one.
    """

    name: str
    partitions: int
    messages: int
    end: int
    rate_hz: float | None = None


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's group.

    Attributes
    ----------
    lag
        Offsets behind the end, by partition.
    owners
        The member that has each partition; empty where a group does not share them out.
    """

    name: str
    topic: str
    lag: dict[int, int]
    owners: dict[int, str] = {}


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model in service: its role, live quality and drift; null where it is not known."""

    target: str
    model: str
    role: Literal["champion", "challenger"]
    judged: int | None = None
    figure: str | None = None
    live: float | None = None
    offline: float | None = None
    drift: str | None = None


class SymbolView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest score of a symbol."""

    symbol: str
    venue: str
    age_s: float
    price: float
    scores: dict[str, float]


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """What ``GET /health`` says; ``status`` is ``unreachable`` where the API does not answer."""

    status: str
    failing: list[str] = []
    warnings: list[str] = []


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment.

    Attributes
    ----------
    ts_ns
        This host's clock, nanoseconds since the UNIX epoch.
    problems
        What could not be asked, in plain words.
    """

    ts_ns: int
    topics: list[TopicView] = []
    groups: list[GroupView] = []
    models: list[ModelView] = []
    symbols: list[SymbolView] = []
    health: HealthView = HealthView(status="unreachable")
    problems: list[str] = []


def with_rates(now: Overview, before: Overview | None) -> Overview:
    """Return an overview with the topics' rates since an earlier one."""
    if before is None or now.ts_ns <= before.ts_ns:
        return now
    seconds = (now.ts_ns - before.ts_ns) / NS_PER_S
    ends = {topic.name: topic.end for topic in before.topics}
    topics = [
        msgspec.structs.replace(topic, rate_hz=max(topic.end - ends[topic.name], 0) / seconds)
        if topic.name in ends
        else topic
        for topic in now.topics
    ]
    return msgspec.structs.replace(now, topics=topics)
