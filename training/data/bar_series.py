"""One series of bars out of the rows that the files of a market hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from flows.errors import TrainingError
from flows.numeric.arrays import Float64, Int64
from training.data.bars import Bars, usual_interval_s
from training.data.tables import Table

PRICES = ("open", "high", "low", "close")
# Two exports of one market may be rounded differently.
_TOLERANCE = 1e-6
# Rows of two files in turns whose prices jump that much more between files than within one.
_JUMP = 20.0
_LEAST_JUMP = 0.01
_TURNS = 3
# A market's price between two files whose names do not tell it.
_LEAST_STEP = 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one market in one file, in time order, each column of shape (n,).

    Attributes
    ----------
    rows
        int64: row of the table.
    last
        Row of the table that stands last in time: it may be a bar that was not over yet.
    is_named
        False where neither the file nor its name tells the market.
    """

    market: str
    table: Table
    rows: Int64
    ts_ns: Int64
    values: dict[str, Float64]
    last: int
    is_named: bool = True

    @property
    def interval_s(self) -> int | None:
        """Usual distance of its bars; None for fewer than three of them."""
        times = np.unique(self.ts_ns)
        return usual_interval_s(times) if len(times) > 2 else None


def to_series(market: str, parts: Sequence[Part]) -> Bars:
    """Return one market's bars, one for each time.

    Raises
    ------
    TrainingError
        Files contradict each other or are of several markets, or there are too few bars.
    """
    _check_intervals(market, parts)
    times = np.concatenate([part.ts_ns for part in parts])
    number = np.repeat(np.arange(len(parts)), [len(part.ts_ns) for part in parts])
    place = np.concatenate([np.arange(len(part.ts_ns)) for part in parts])
    values = {
        name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values
    }
    order = np.argsort(times, kind="stable")
    kept = _without_repeats(market, parts, times, number, place, values, order)
    if len(kept) < 2:
        msg = f"too few bars in {market}: {len(kept)}"
        raise TrainingError(msg)
    _check_levels(market, parts, number[kept], values["close"][kept])
    _check_steps(market, parts, number[kept], times[kept], values["close"][kept])
    if len(kept) < len(times):
        structlog.get_logger().info(
            "repeated bars are left out", market=market, count=len(times) - len(kept)
        )
    return Bars(
        name=market,
        ts_ns=times[kept],
        interval_s=usual_interval_s(times[kept]),
        **{name: column[kept] for name, column in values.items()},
    )


def _check_intervals(market: str, parts: Sequence[Part]) -> None:
    known = [(part, part.interval_s) for part in parts if part.interval_s is not None]
    for part, interval_s in known[1:]:
        first, usual_s = known[0]
        if interval_s != usual_s:
            msg = (
                f"{market}: {first.table.file.name} holds bars of {usual_s} s,"
                f" {part.table.file.name} of {interval_s} s; give files of one interval"
            )
            raise TrainingError(msg)


def _without_repeats(
    market: str,
    parts: Sequence[Part],
    times: Int64,
    number: Int64,
    place: Int64,
    values: dict[str, Float64],
    order: Int64,
) -> Int64:
    """Return one row for each time, in order.

    Of two rows of one time and with different prices, the last row of a file gives way: it was
    written before the bar was over.

    Raises
    ------
    TrainingError
        Two other rows contradict each other; it names both.
    """
    prices = np.stack([values[name] for name in PRICES], axis=1)
    same = np.isclose(prices[order[1:]], prices[order[:-1]], rtol=_TOLERANCE, atol=0).all(axis=1)
    same &= times[order[1:]] == times[order[:-1]]
    order = order[np.append(True, ~same)]
    kept: list[int] = []
    ordered_times = times[order]
    starts = np.flatnonzero(np.append(True, ordered_times[1:] != ordered_times[:-1]))
    ends = np.append(starts[1:], len(order))
    single = ends - starts == 1
    for start, end in zip(starts[~single], ends[~single], strict=True):
        chosen = int(order[start])
        for other in map(int, order[start + 1 : end]):
            alike = np.isclose(prices[chosen], prices[other], rtol=_TOLERANCE, atol=0).all()
            unfinished = [
                row for row in (chosen, other) if _is_last(parts[number[row]], place[row])
            ]
            if not alike and not unfinished:
                one, two = (
                    parts[number[row]].table.at(int(parts[number[row]].rows[place[row]]))
                    for row in (chosen, other)
                )
                msg = (
                    f"{market}: {one} and {two} are bars of one time with different prices; these"
                    " are two markets, or two versions of one: give one of them"
                )
                raise TrainingError(msg)
            if not alike and unfinished[0] == chosen:
                chosen = other
        kept.append(chosen)
    chosen_rows = np.concatenate([order[starts[single]], np.array(kept, np.int64)])
    return chosen_rows[np.argsort(times[chosen_rows], kind="stable")]


def _is_last(part: Part, place: int) -> bool:
    return int(part.rows[place]) == part.last


def _check_levels(market: str, parts: Sequence[Part], number: Int64, close: Float64) -> None:
    """Refuse files whose rows alternate in time, at prices of different levels.

    Raises
    ------
    TrainingError
        Naming two of the files.
    """
    if len(parts) < 2:
        return
    moves = np.abs(np.diff(np.log(close)))
    across = number[1:] != number[:-1]
    if across.sum() < _TURNS:
        return
    usual = float(np.median(moves[~across])) if (~across).any() else 0.0
    jump = float(np.median(moves[across]))
    if jump > _LEAST_JUMP and jump > _JUMP * usual:
        at = int(np.flatnonzero(across)[0])
        one, two = (parts[number[row]].table.file.name for row in (at, at + 1))
        msg = (
            f"{market}: the bars of {one} and {two} alternate, and their prices differ by"
            f" {jump:.0%}; these are two markets: give one of them"
        )
        raise TrainingError(msg)


def _check_steps(
    market: str, parts: Sequence[Part], number: Int64, times: Int64, close: Float64
) -> None:
    """Refuse files of no named market that follow each other at prices of different levels.

    A price moves with the root of time: what lies far above that, and above 40 %, is a step from
    one market to another.

    Raises
    ------
    TrainingError
        Naming two of the files.
    """
    if all(part.is_named for part in parts) or len(parts) < 2:
        return
    moves = np.abs(np.diff(np.log(close)))
    passed = np.diff(times)
    across = number[1:] != number[:-1]
    if across.all():
        return
    per_root = float(np.median(moves[~across])) / float(np.sqrt(np.median(passed[~across])))
    steps = across & (moves > np.maximum(_LEAST_STEP, _JUMP * per_root * np.sqrt(passed)))
    if steps.any():
        at = int(np.flatnonzero(steps)[0])
        one, two = (parts[number[row]].table.file.name for row in (at, at + 1))
        msg = (
            f"{market}: from {one} to {two} the price goes from {close[at]:g} to"
            f" {close[at + 1]:g}; if these are two markets, name them in the files' names, such as"
            " BTCUSDT.csv, or in a column called symbol"
        )
        raise TrainingError(msg)
