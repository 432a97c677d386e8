"""Bodies of the answers that charts are drawn from."""

from typing import Literal

import msgspec

from schemas.models import TargetKind


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time in which a score was above its threshold, or an event that it missed.

    Attributes
    ----------
    ts_s, to_s
        First and last second, since the UNIX epoch.
    kind
        ``hit``: the event followed; ``false_alarm``: it did not; ``pending``: not known yet;
        ``miss``: the event followed, and no score said so.
    score, price
        At the first second.
    """

    ts_s: int
    to_s: int
    kind: Literal["hit", "false_alarm", "pending", "miss"]
    score: float | None
    price: float | None


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """From this second on another model decided; ``before`` is null for the first one seen."""

    ts_s: int
    model: str
    before: str | None


class SeriesColumns(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for each step that changed, oldest first; null where nothing is known.

    Attributes
    ----------
    ts_s
        Start of the step, seconds since the UNIX epoch.
    open, high, low, close, volume, trades
        Of the ticks in the step, in the order of the log.
    bid, ask, mid
        The last ones in the step.
    gap
        Ticks were lost in the step.
    score
        The champion's: the largest in the step for an event, the last one for a forecast.
    alert
        A score of the step reached the threshold; null for a forecast.
    shadow
        By ``model@version`` of each challenger, its last score.
    truth
        For an event 1 where it followed any prediction of the step, else 0; for a forecast what
        came after the last one.
    judged
        The score that ``truth`` belongs to: for a forecast, the one to be compared.
    """

    ts_s: list[int]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]
    trades: list[int]
    bid: list[float | None]
    ask: list[float | None]
    mid: list[float | None]
    gap: list[bool]
    score: list[float | None]
    alert: list[bool | None]
    shadow: dict[str, list[float | None]]
    truth: list[float | None]
    judged: list[float | None]


class SeriesResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol over time, by steps.

    Attributes
    ----------
    source
        ``kafka``, or ``redis`` where the topics cannot be read: then there are sampled predictions
        alone, and neither quotes nor outcomes.
    complete
        False while older messages of the time that was asked for are still to be read: ask again.
    skipped
        Messages that were passed over, since reading them all would have taken too long.
    revision
        For ``after`` of the next request.
    oldest_s, newest_s
        First and last second that is known, since the UNIX epoch; null while there is none.
    """

    symbol: str
    target: str
    kind: TargetKind | None
    step_s: int
    source: Literal["kafka", "redis"]
    complete: bool
    skipped: int
    revision: int
    oldest_s: int | None
    newest_s: int | None
    threshold: float | None
    columns: SeriesColumns
    marks: list[Mark]
    swaps: list[Swap]


class BackfillResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's bars of the time before a symbol's first tick, oldest first.

    Attributes
    ----------
    venue, interval_s
        Who gave them, and seconds in one; null where there are none.
    ts_s
        Start of each, seconds since the UNIX epoch.
    """

    symbol: str
    source: Literal["backfill"] = "backfill"
    venue: str | None = None
    interval_s: int | None = None
    ts_s: list[int] = []
    open: list[float] = []
    high: list[float] = []
    low: list[float] = []
    close: list[float] = []
    volume: list[float | None] = []
