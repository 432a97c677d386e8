"""What a check has found, and what of it is wrong."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from flows.inspection.tally import Tally
from flows.numeric.time import text_of


class Quantiles(msgspec.Struct, frozen=True):
    """A distribution; null where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    least: float | None = None
    most: float | None = None


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of a venue, or its candles of one interval."""

    symbol: str
    venue: str
    messages: int
    rate_hz: float
    late: int
    restarts: int
    gaps: int
    duplicates: int
    newest: str | None
    partitions: list[int]
    interval: str | None = None


class ErrorReport(msgspec.Struct, frozen=True):
    """Messages that are none of the topic's, with the first of them."""

    reason: str
    count: int
    examples: list[dict[str, Any]]


class GroupLag(msgspec.Struct, frozen=True):
    """How many messages a consumer group has not committed yet."""

    group: str
    messages: int
    by_partition: dict[int, int]


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that a check tells.

    Attributes
    ----------
    seconds
        How long was read.
    rate_hz, bytes_per_s
        Over that time.
    late, restarts
        Messages older than their symbol's newest by up to a minute; jumps by more, or far ahead.
    event_lag_ms
        From the event to its arrival here.
    newest_age_ms
        From the newest event to the end of the check; null without events.
    wrong
        One sentence for each promise that is broken.
    notes
        One for each thing that is worth a look and breaks none.
    """

    topic: str
    ok: bool
    seconds: float
    messages: int
    rate_hz: float
    bytes_per_s: float
    size_bytes: Quantiles
    event_lag_ms: Quantiles
    newest_age_ms: float | None
    symbols: int
    late: int
    restarts: int
    gaps: int
    duplicates: int
    errors: list[ErrorReport]
    labels: dict[str, int]
    partitions: dict[int, int]
    groups: list[GroupLag]
    series: list[SeriesReport]
    wrong: list[str]
    notes: list[str]


def report_of(
    topic: str,
    tally: Tally,
    seconds: float,
    now_ns: int,
    lags: Mapping[str, Mapping[int, int]],
    *,
    live: bool,
    strict: bool,
    losses: tuple[str | None, str | None] = (None, None),
) -> CheckReport:
    """Return what was found.

    Parameters
    ----------
    seconds
        How long was read, > 0.
    lags
        Messages behind the end by group and partition.
    live
        Whether new messages were waited for, so that silence tells something.
    strict
        Whether what is worth a look counts as wrong.
    losses
        Why the topic loses messages, and why it deletes them too soon; None where it does not.
    """
    series = [
        SeriesReport(
            symbol=key[0],
            venue=key[1],
            interval=key[2] if len(key) > 2 else None,
            messages=each.messages,
            rate_hz=each.messages / seconds,
            late=each.late,
            restarts=each.restarts,
            gaps=each.gaps,
            duplicates=each.repeats,
            newest=text_of(each.newest_ns) if each.newest_ns else None,
            partitions=sorted(each.partitions),
        )
        for key, each in sorted(tally.series.items(), key=lambda pair: -pair[1].messages)
    ]
    newest_ns = tally.newest_ns()
    losing, too_short = losses
    wrong = [*([losing] if losing else []), *_broken_promises(tally, live=live)]
    notes = [*([too_short] if too_short else []), *_worth_a_look(tally)]
    if strict:
        wrong, notes = [*wrong, *notes], []
    return CheckReport(
        topic=topic,
        ok=not wrong,
        seconds=seconds,
        messages=tally.messages,
        rate_hz=tally.messages / seconds,
        bytes_per_s=tally.size_bytes / seconds,
        size_bytes=_quantiles(tally.sizes()),
        event_lag_ms=_quantiles(tally.lags_ms()),
        newest_age_ms=None if newest_ns is None else (now_ns - newest_ns) / 1e6,
        symbols=len({(each.symbol, each.venue) for each in series}),
        late=sum(each.late for each in series),
        restarts=sum(each.restarts for each in series),
        gaps=sum(each.gaps for each in series),
        duplicates=tally.duplicates,
        errors=[
            ErrorReport(
                reason, count, [msgspec.to_builtins(each) for each in tally.examples[reason]]
            )
            for reason, count in tally.errors.most_common()
        ],
        labels=dict(tally.labels.most_common()),
        partitions=dict(sorted(tally.by_partition.items())),
        groups=[
            GroupLag(group, sum(behind.values()), dict(sorted(behind.items())))
            for group, behind in sorted(lags.items())
        ],
        series=series,
        wrong=wrong,
        notes=notes,
    )


def _broken_promises(tally: Tally, *, live: bool) -> list[str]:
    wrong = []
    if live and not tally.messages and tally.contract.continuous:
        wrong.append("no message came")
    wrong += [
        f"{count} messages are none of the topic's: {reason}"
        for reason, count in tally.errors.most_common()
    ]
    if tally.duplicates and tally.contract.exactly_once:
        wrong.append(f"{tally.duplicates} messages are there twice")
    split = [key for key, each in tally.series.items() if len(each.partitions) > 1]
    if split:
        shown = ", ".join(" ".join(key) for key in sorted(split)[:3])
        wrong.append(f"messages of one symbol lie in several partitions: {shown}")
    return wrong


def _worth_a_look(tally: Tally) -> list[str]:
    counts = {
        "gaps": sum(each.gaps for each in tally.series.values()),
        "late messages": sum(each.late for each in tally.series.values()),
        "jumps of a symbol's time": sum(each.restarts for each in tally.series.values()),
        "duplicates, which those who read drop": (
            0 if tally.contract.exactly_once else tally.duplicates
        ),
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _quantiles(values: np.ndarray) -> Quantiles:
    if not len(values):
        return Quantiles()
    p50, p95, p99 = (float(each) for each in np.percentile(values, [50, 95, 99]))
    return Quantiles(p50, p95, p99, float(values.min()), float(values.max()))
