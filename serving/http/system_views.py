"""Bodies of the answers about scores' reasons and about the system."""

from typing import Literal

import msgspec

from schemas.dead_letters import Reason


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What some features add to a score, or how much a model rests on them.

    Attributes
    ----------
    features
        Those that the input is made of, the one of its own first.
    value
        Of the first feature; null where it is undefined.
    amount
        In log odds for an event, in the target's unit for a forecast, relative to the usual value
        of the training; null where the model is not linear.
    importance
        Loss of quality in training where the first feature is shuffled; null where not known.
    drift
        Population stability index of the first feature against its training; null where too few
        independent rows of it were seen, now or in training, to tell drift from chance.
    """

    features: list[str]
    value: float | None
    amount: float | None
    importance: float | None
    drift: float | None


class ExplainResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Why a symbol's newest score is what it is.

    Attributes
    ----------
    method
        ``linear``: the amounts and ``base`` come to the log odds of the score (``link`` is
        ``logit``) or to the score; ``importances``: what the model rests on in general; ``none``:
        neither is known.
    score
        By the model that the API has loaded, from the same features.
    offset
        Of the tick on ``ticks.raw``, on ``partition``.
    is_latest
        The features are those of the newest score; False where they are of a tick shortly before.
    drift_rows
        Rows of the last two hours that the drift was measured on.
    """

    symbol: str
    target: str
    model: str
    method: Literal["linear", "importances", "none"]
    link: Literal["logit", "identity"] | None
    score: float
    base: float | None
    partition: int
    offset: int
    ts_event_ns: int
    is_latest: bool
    drift_rows: int
    inputs: list[Contribution]


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter; ``payload`` is the beginning of its ``size`` bytes, as text.

    ``at_ms`` is its Kafka timestamp; ``topic``, ``partition`` and ``offset`` are its origin.
    """

    at_ms: int
    reason: Reason
    detail: str
    topic: str | None
    partition: int | None
    offset: int | None
    venue: str | None
    payload: str
    size: int


class DeadLettersResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The newest dead letters, newest first.

    ``by_reason`` counts the ``counted`` newest ones that were looked at, ``total`` is about how
    many there are.
    """

    total: int
    counted: int
    by_reason: dict[str, int]
    letters: list[DeadLetterView]


class VenueState(msgspec.Struct, frozen=True, kw_only=True):
    """A venue: its symbols, and how old its newest event is by this host's clock."""

    venue: str
    symbols: int
    newest_event_ns: int
    event_age_ms: int


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of ingest to a venue, by ingest's own metrics.

    ``reconnects`` are connections after the first, ``dropped_frames`` messages that a full queue
    did not take, both since ingest began.
    """

    feed: str
    venue: str
    reconnects: int
    dropped_frames: int


class PartitionState(msgspec.Struct, frozen=True, kw_only=True):
    """A partition of ``ticks.raw``.

    Attributes
    ----------
    ticks
        Messages that were ever written to it.
    lag
        Ticks behind the one that was scored last; null while none was.
    ticks_per_s
        Over the last ten seconds.
    owner
        The member of the consumer group that has it; null where partitions are not shared out by
        a group, as in an all-in-one run.
    """

    partition: int
    ticks: int
    lag: int | None
    ticks_per_s: float
    owner: str | None


class StageLatency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds between two steps of a tick's way; Kafka keeps whole milliseconds."""

    stage: str
    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


class SwapMove(msgspec.Struct, frozen=True, kw_only=True):
    """A move of a champion, from the model store's log."""

    ts_ns: int
    target: str
    action: str
    before: str | None
    after: str | None
    by: str


class SystemReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline is doing, from the newest messages of its topics.

    ``gaps`` counts ticks before which others were lost among the ``looked_at`` newest: every
    reconnect of a feed leaves one. ``feeds`` is empty where ingest's metrics cannot be reached.
    """

    feed: str
    venues: list[VenueState]
    ticks_per_s: float
    gaps: int
    looked_at: int
    partitions: list[PartitionState]
    latency: list[StageLatency]
    moves: list[SwapMove]
    feeds: list[FeedState] = []
