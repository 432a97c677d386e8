"""Read bars: files to tables, tables to rows, rows to one series for each market."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
import structlog

from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float64, Int64
from training.data import tables
from training.data.bar_archive import bar_files, one_interval
from training.data.bars import Bars, usual_interval_s
from training.data.files import DataFile
from training.data.layouts import Layout, find_layout
from training.data.markets import market_in, market_of
from training.data.tables import Table
from training.data.times import join_date_and_time

_PRICES = ("open", "high", "low", "close")
_COLUMNS = (*_PRICES, "volume")
# Two exports of one market may be rounded differently.
_TOLERANCE = 1e-6
# Rows of two files in turns whose prices jump that much more between files than within one.
_JUMP = 20.0
_LEAST_JUMP = 0.01
_TURNS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one market in one file, in time order, each column of shape (n,).

    Attributes
    ----------
    rows
        int64: row of the table.
    last
        Row of the table that stands last in time: it may be a bar that was not over yet.
    """

    market: str
    table: Table
    rows: Int64
    ts_ns: Int64
    values: dict[str, Float64]
    last: int

    @property
    def interval_s(self) -> int | None:
        """Usual distance of its bars; None for fewer than three of them."""
        times = np.unique(self.ts_ns)
        return usual_interval_s(times) if len(times) > 2 else None


def read_bars(paths: Sequence[Path], interval_s: int | None = None) -> list[Bars]:
    """Read CSV or Parquet, plain or compressed, files, folders or archives.

    Parameters
    ----------
    interval_s
        Of files that tell their rows' intervals only these are read.

    Returns
    -------
    One series for each market.

    Raises
    ------
    TrainingError
        A file is no table of bars, a value is unusable, files contradict each other, or there are
        too few bars. It names file, line and column.
    """
    parts: dict[str, list[Part]] = defaultdict(list)
    for path in paths:
        for file in bar_files(path):
            table = one_interval(tables.read_table(file), interval_s)
            for part in _parts(path, table) if table is not None else ():
                parts[part.market].append(part)
    if not parts:
        msg = f"no bars of {interval_s} s in {', '.join(map(str, paths))}"
        raise TrainingError(msg)
    series = [_series(market, parts[market]) for market in sorted(parts)]
    for one in series[1:]:
        if one.interval_s != series[0].interval_s:
            msg = (
                f"bars of {series[0].interval_s} s of {series[0].name} and of {one.interval_s} s"
                f" of {one.name}: train on one interval at a time, chosen by --interval where files"
                " tell theirs"
            )
            raise TrainingError(msg)
    return series


def _parts(source: Path, table: Table) -> list[Part]:
    layout = find_layout(table)
    joined = None
    if layout.clock is not None:
        joined = join_date_and_time(table.frame[layout.time], table.frame[layout.clock])
    columns = {name: getattr(layout, name) for name in _COLUMNS if getattr(layout, name)}
    decimal = tables.decimal_sign(table, list(columns.values()))
    values = {name: tables.floats(table, column, decimal) for name, column in columns.items()}
    values.setdefault("volume", np.full(len(table), np.nan))
    kept = _usable(table, layout, values)
    if not kept.any():
        msg = f"{table.file.name} holds no bars: none of its {len(table)} rows has prices"
        raise TrainingError(msg)
    # Times after prices: a row without any price may lack its time, too.
    some = replace(table, frame=table.frame[kept].reset_index(drop=True), lines=table.lines[kept])
    if joined is not None:
        joined = joined[kept].reset_index(drop=True)
    ts_ns = tables.nanoseconds(some, layout.time, joined)
    values = {name: column[kept] for name, column in values.items()}
    made = []
    for market, rows in _by_market(source, some, layout):
        order = rows[np.argsort(ts_ns[rows], kind="stable")]
        made.append(
            Part(
                market,
                some,
                order,
                ts_ns[order],
                {name: column[order] for name, column in values.items()},
                int(order[-1]),
            )
        )
    return made


def _usable(table: Table, layout: Layout, values: dict[str, Float64]) -> Bool:
    """Return which rows hold a bar: a row without any price is a minute without trades.

    Raises
    ------
    TrainingError
        At the first row with some prices, or with impossible ones.
    """
    unknown = np.stack([np.isnan(values[name]) for name in _PRICES])
    kept = ~unknown.all(axis=0)
    for name in _PRICES:
        column = getattr(layout, name)
        _refuse(table, column, kept & np.isnan(values[name]), "missing")
        bad = kept & ~((values[name] > 0) & np.isfinite(values[name]))
        _refuse(table, column, bad, "not a positive, finite price")
    below = kept & (values["high"] < values["low"])
    _refuse(table, layout.high, below, f"below the {layout.low} of its row")
    if layout.volume is not None:
        _refuse(table, layout.volume, values["volume"] < 0, "a negative volume")
    return np.asarray(kept, np.bool_)


def _refuse(table: Table, column: str, bad: Bool, problem: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        more = f" (and {len(rows) - 1} rows more)" if len(rows) > 1 else ""
        raise table.error(int(rows[0]), column, f"{problem}{more}")


def _by_market(source: Path, table: Table, layout: Layout) -> list[tuple[str, Int64]]:
    if layout.market is None:
        return [(_market_of_file(source, table.file), np.arange(len(table), dtype=np.int64))]
    names = table.frame[layout.market].fillna("").astype(str)
    if layout.venue is not None:
        names = names + "@" + table.frame[layout.venue].fillna("").astype(str)
    found = []
    for name, rows in names.groupby(names).indices.items():
        symbol, _, venue = str(name).partition("@")
        market = market_of(symbol)
        if not market:
            raise table.error(int(rows[0]), layout.market, "missing")
        found.append((f"{market}@{venue}" if venue else market, np.sort(rows).astype(np.int64)))
    return found


def _market_of_file(source: Path, file: DataFile) -> str:
    """Return the pair in a file's name or in a folder's within the source; else the source."""
    inside = PurePath(file.member) if file.member else PurePath(file.path.name)
    if source.is_dir():
        inside = PurePath(*file.path.relative_to(source).parts[:-1]) / inside
    if file.member:
        inside = PurePath(file.path.stem) / inside
    return market_in(inside) or source.name


def _series(market: str, parts: Sequence[Part]) -> Bars:
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
    prices = np.stack([values[name] for name in _PRICES], axis=1)
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
