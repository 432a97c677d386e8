"""Ticks of several files as one log, or as the several logs that they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog

from flows.codec.batch import NO_TRADE_ID, TickBatch
from flows.codec.symbols import SymbolTable
from flows.numeric.arrays import Bool, Int64
from flows.numeric.time import NS_PER_S
from training.data.ticklog import TickLog, concatenate, take

# A file whose times nearly all fall is written newest first.
_FALLING = 0.9
# Feeds send some ticks late by seconds; where so many are by more, a file is not in a feed's order.
_LATE_NS = 60 * NS_PER_S
_LATE = 0.1
# Of the ticks with an id; a venue corrects the time of a trade now and then.
_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class FileTicks:
    """Usable ticks of one file and partition, in the file's order.

    Attributes
    ----------
    has_offsets
        Whether the file says at which offsets of the log they lay.
    """

    batch: TickBatch
    has_offsets: bool


def logs_of(number: int, parts: Sequence[FileTicks]) -> list[TickBatch]:
    """Return the logs that some files hold, each in its own order.

    With offsets, files that hold other ticks at the same offsets are of several logs. Without, all
    are merged by time, and a tick that stands in two files is taken once.

    Parameters
    ----------
    number
        The logs' partition.
    """
    if not all(part.has_offsets for part in parts):
        return [_merged(number, parts)]
    logs: list[TickBatch] = []
    for part in parts:
        for at, log in enumerate(logs):
            joined = _continued(log, part.batch, number)
            if joined is not None:
                logs[at] = joined
                break
        else:
            logs.append(_by_offset(part.batch))
    if len(logs) > 1:
        structlog.get_logger().warning(
            "the files are of several logs: they hold other ticks at the same offsets",
            partition=number,
            logs=len(logs),
        )
    return logs


def _by_offset(batch: TickBatch) -> TickBatch:
    if len(batch) < 2 or (np.diff(batch.offset) > 0).all():
        return batch
    return take(batch, np.unique(batch.offset, return_index=True)[1])


def _continued(log: TickBatch, more: TickBatch, number: int) -> TickBatch | None:
    """Return a log with more of its ticks; None if they are another log's."""
    _, here, there = np.intersect1d(log.offset, more.offset, return_indices=True)
    for name in ("symbol_id", "ts_event_ns", "price"):
        if (getattr(log, name)[here] != getattr(more, name)[there]).any():
            return None
    return _by_offset(concatenate([log, more], number))


def _merged(number: int, parts: Sequence[FileTicks]) -> TickBatch:
    """Return the ticks of all files in order of time, each once; each file keeps its own order."""
    batches = [_in_order_of_time(_oldest_first(part.batch)) for part in parts]
    keys = [_effective_ns(batch) for batch in batches]
    whole = concatenate(batches, number)
    rows = np.arange(len(whole), dtype=np.int64)
    if len(batches) > 1:
        rows = np.argsort(np.concatenate(keys), kind="stable")
        repeated = _repeated(batches)[rows]
        if repeated.any():
            structlog.get_logger().info(
                "ticks that stand in two files are taken once", count=int(repeated.sum())
            )
        rows = rows[~repeated]
    ordered = take(whole, rows)
    ordered.offset[:] = np.arange(len(ordered), dtype=np.int64)
    return _without_row_numbers(ordered)


def _without_row_numbers(batch: TickBatch) -> TickBatch:
    """Return ticks without ids that begin anew, as the numbers of the rows of each file do.

    An id names one trade: where the same ids come again at other times, they name none, and the
    features would take the later ticks for repetitions of the earlier ones.
    """
    known = np.flatnonzero(batch.trade_id != NO_TRADE_ID)
    keys = (batch.ts_event_ns[known], batch.trade_id[known], batch.symbol_id[known])
    rows = known[np.lexsort(keys)]
    same = np.diff(batch.symbol_id[rows]) == 0
    same &= np.diff(batch.trade_id[rows]) == 0
    again = int((same & (np.diff(batch.ts_event_ns[rows]) != 0)).sum())
    if again <= _AGAIN * len(known):
        return batch
    structlog.get_logger().warning(
        "the same trade ids stand at other times; they are no ids and left out",
        ticks=len(batch),
        again=again,
    )
    return replace(batch, trade_id=np.full(len(batch), NO_TRADE_ID, np.int64))


def _oldest_first(batch: TickBatch) -> TickBatch:
    steps = np.diff(batch.ts_event_ns)
    steps = steps[steps != 0]
    falling = len(steps) > 0 and float((steps < 0).mean()) > _FALLING
    return take(batch, slice(None, None, -1)) if falling else batch


def _in_order_of_time(batch: TickBatch) -> TickBatch:
    """Return a file's ticks by time where its rows are in no order that a feed has.

    A writer that works in parallel puts its pieces into any order. Left like that, what comes after
    the newest piece would be late, and late ticks change no feature.
    """
    late = _effective_ns(batch) - batch.ts_event_ns > _LATE_NS
    share = float(late.mean()) if len(batch) else 0.0
    if share <= _LATE:
        return batch
    structlog.get_logger().warning(
        "the rows of a file are not in order of time; they are sorted",
        a_minute_late=f"{share:.0%}",
        rows=len(batch),
    )
    return take(batch, np.argsort(batch.ts_event_ns, kind="stable"))


def _effective_ns(batch: TickBatch) -> Int64:
    """Return the newest time of each tick's symbol so far: late ticks stay where they are."""
    made = np.empty(len(batch), np.int64)
    for symbol in np.unique(batch.symbol_id):
        mine = batch.symbol_id == symbol
        made[mine] = np.maximum.accumulate(batch.ts_event_ns[mine])
    return made


def _repeated(batches: Sequence[TickBatch]) -> Bool:
    """Return which ticks of all batches stand in an earlier batch, too.

    Two equal ticks of one batch are two trades: the nth of them repeats the nth of another batch.
    """
    seen: set[tuple[Any, ...]] = set()
    marks: list[Bool] = []
    for number, batch in enumerate(batches):
        mark = np.zeros(len(batch), np.bool_)
        counts: Counter[tuple[Any, ...]] = Counter()
        found: list[tuple[Any, ...]] = []
        shared = _within_others(batches, number)
        columns = (batch.symbol_id, batch.ts_event_ns, batch.trade_id, batch.price)
        sizes = np.nan_to_num(batch.size[shared], nan=-1.0).tolist()  # NaN equals nothing
        for row, *key in zip(
            shared.tolist(), *(each[shared].tolist() for each in columns), sizes, strict=True
        ):
            counts[tuple(key)] += 1
            numbered = (*key, counts[tuple(key)])
            mark[row] = numbered in seen
            found.append(numbered)
        seen.update(found)
        marks.append(mark)
    return np.concatenate(marks)


def _within_others(batches: Sequence[TickBatch], number: int) -> Int64:
    """Return the rows of a batch whose times lie in the range of another batch."""
    times = batches[number].ts_event_ns
    inside = np.zeros(len(times), np.bool_)
    for at, other in enumerate(batches):
        if at != number and len(other):
            low, high = other.ts_event_ns.min(), other.ts_event_ns.max()
            inside |= (times >= low) & (times <= high)
    return np.flatnonzero(inside)


def once_each(logs: Sequence[TickLog]) -> list[TickLog]:
    """Return logs of which an archive and its topic are one: no tick stands in two of them.

    Two logs of one partition are one if they share offsets and hold the same ticks there.
    """
    made: list[TickLog] = []
    for log in logs:
        for at, earlier in enumerate(made):
            joined = _joined(earlier, log)
            if joined is not None:
                made[at] = joined
                break
        else:
            made.append(log)
    return made


def _joined(one: TickLog, two: TickLog) -> TickLog | None:
    here, there = one.batch, two.batch
    if here.partition != there.partition or not len(np.intersect1d(here.offset, there.offset)):
        return None
    symbols = SymbolTable()
    batches = []
    for log in (one, two):
        numbers = np.array([symbols.intern(*pair) for pair in log.symbols.names], np.int32)
        batches.append(replace(log.batch, symbol_id=numbers[log.batch.symbol_id]))
    batch = _continued(batches[0], batches[1], here.partition)
    if batch is None:
        return None
    kind = one.provenance if one.provenance == "simulated" else two.provenance
    name = one.name if one.name == two.name else f"{one.name}+{two.name}"
    return TickLog(name, batch, symbols, kind, max(one.dead, two.dead))
