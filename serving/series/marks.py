"""Where a score crossed its threshold, and what became of it.

An *alert* is a stretch of time in which a score lies at or above its threshold, a *spike* one in
which the truth says that the event followed. Stretches of either that are less than ``JOIN_S``
apart count as one, since a score flickers about its threshold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from serving.http.series_views import Mark
from serving.series.buckets import Bucket

JOIN_S: Final = 10


@dataclass(slots=True)
class Stretch:
    """Seconds from ``first_s`` to ``last_s`` in which something holds."""

    first_s: int
    last_s: int


def stretches(seconds: Iterable[int], join_s: int = JOIN_S) -> list[Stretch]:
    """Return the stretches that rising seconds form, joined where they are close."""
    found: list[Stretch] = []
    for second in seconds:
        if found and second - found[-1].last_s < join_s:
            found[-1].last_s = second
        else:
            found.append(Stretch(second, second))
    return found


def marks(buckets: Sequence[Bucket], target: str) -> list[Mark]:
    """Return what to mark on a chart, oldest first.

    ``hit``
        An alert during which the event followed.
    ``false_alarm``
        An alert whose truth is known and during which it did not.
    ``pending``
        An alert whose truth is not known yet.
    ``miss``
        A spike during which there was no alert.
    """
    by_second = {bucket.second: bucket for bucket in buckets}
    alarmed = [each.second for each in buckets if each.alerts.get(target)]
    happened = [
        each.second for each in buckets if target in each.truths and each.truths[target].happened
    ]
    made = []
    for alert in stretches(alarmed):
        known = [
            by_second[second].truths[target].happened
            for second in range(alert.first_s, alert.last_s + 1)
            if second in by_second and target in by_second[second].truths
        ]
        kind = "pending" if not known else "hit" if any(known) else "false_alarm"
        made.append(_mark(kind, alert, by_second[alert.first_s], target))
    # A spike belongs to an alert that is near enough to be one stretch with it.
    near = {second + shift for second in alarmed for shift in range(1 - JOIN_S, JOIN_S)}
    for spike in stretches(happened):
        if near.isdisjoint(range(spike.first_s, spike.last_s + 1)):
            made.append(_mark("miss", spike, by_second[spike.first_s], target))
    return sorted(made, key=lambda each: each.ts_s)


def _mark(kind: str, stretch: Stretch, bucket: Bucket, target: str) -> Mark:
    return Mark(
        ts_s=stretch.first_s,
        to_s=stretch.last_s,
        kind=kind,  # type: ignore[arg-type]
        score=bucket.peaks.get(target),
        price=bucket.close if bucket.close is not None else bucket.price,
    )
