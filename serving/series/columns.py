"""Buckets put together into steps and columns, as a chart takes them."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from serving.http.series_views import SeriesColumns, Swap
from serving.series.buckets import Bucket

MAX_SHADOWS = 12


def columns(buckets: Iterable[Bucket], target: str, step_s: int, after: int) -> SeriesColumns:
    """Return the steps in which anything changed after a revision.

    Parameters
    ----------
    buckets
        Oldest first; whole steps, so that a step's entry is complete.
    """
    made = SeriesColumns(
        ts_s=[],
        open=[],
        high=[],
        low=[],
        close=[],
        volume=[],
        trades=[],
        bid=[],
        ask=[],
        mid=[],
        gap=[],
        score=[],
        alert=[],
        shadow={},
        truth=[],
        judged=[],
    )
    for start, group in groupby(buckets, key=lambda each: each.second - each.second % step_s):
        step = list(group)
        if any(each.revision > after for each in step):
            _add(made, start, step, target)
    return made


def swaps(buckets: Iterable[Bucket], target: str) -> list[Swap]:
    """Return when the model that decides changed, the first one seen included."""
    found: list[Swap] = []
    for bucket in buckets:
        own = bucket.scores.get(target)
        if own is None:
            continue
        model = f"{own.model}@{own.version}"
        if not found or found[-1].model != model:
            found.append(
                Swap(ts_s=bucket.second, model=model, before=found[-1].model if found else None)
            )
    return found


def _add(made: SeriesColumns, start: int, step: Sequence[Bucket], target: str) -> None:
    traded = [each for each in step if each.first >= 0]
    scored = [each for each in step if target in each.scores]
    judged = [each.truths[target] for each in step if target in each.truths]
    alerts = [each.alerts[target] for each in step if target in each.alerts]
    volumes = [each.volume for each in traded if each.volume is not None]
    made.ts_s.append(start)
    made.open.append(traded[0].open if traded else None)
    made.high.append(max((each.high for each in traded if each.high is not None), default=None))
    made.low.append(min((each.low for each in traded if each.low is not None), default=None))
    made.close.append(traded[-1].close if traded else _last([each.price for each in step]))
    made.volume.append(sum(volumes) if volumes else None)
    made.trades.append(sum(each.trades for each in traded))
    made.bid.append(_last([each.bid for each in traded]))
    made.ask.append(_last([each.ask for each in traded]))
    made.mid.append(_last([each.mid for each in step]))
    made.gap.append(any(each.gap for each in step))
    made.alert.append(any(alerts) if alerts else None)
    is_event = bool(alerts)
    if not scored:
        made.score.append(None)
    elif is_event:
        made.score.append(max(each.peaks[target] for each in scored))
    else:
        made.score.append(scored[-1].scores[target].score)
    made.truth.append(
        None
        if not judged
        else max(each.happened for each in judged)
        if is_event
        else judged[-1].last.truth
    )
    made.judged.append(judged[-1].last.score if judged else None)
    _add_shadows(made, scored, target)


def _add_shadows(made: SeriesColumns, scored: Sequence[Bucket], target: str) -> None:
    shadow = scored[-1].scores[target].shadow if scored else {}
    count = len(made.ts_s)
    for ref, value in shadow.items():
        if ref not in made.shadow:
            if len(made.shadow) >= MAX_SHADOWS:
                continue
            made.shadow[ref] = [None] * (count - 1)
        made.shadow[ref].append(value)
    for values in made.shadow.values():
        if len(values) < count:
            values.append(None)


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
