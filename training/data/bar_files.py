"""Read bars: files to tables, tables to the rows of each market in them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from flows.connectors.parquet.places import local_copy
from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float64, Int64
from training.data import tables
from training.data.bar_archive import bar_files, one_interval
from training.data.bar_mixtures import refuse_mixture
from training.data.bar_series import PRICES, Part, to_series
from training.data.bars import Bars
from training.data.files import DataFile
from training.data.layouts import Layout, find_layout
from training.data.markets import market_in, market_of
from training.data.tables import Table
from training.data.times import join_date_and_time

_COLUMNS = (*PRICES, "volume")
# An export may round each column of a row on its own.
_ROUNDING = 1e-6


def read_bars(places: Sequence[str | Path], interval_s: int | None = None) -> list[Bars]:
    """Read CSV, JSON or Parquet, plain or compressed, files, folders or archives.

    Parameters
    ----------
    places
        Paths; an archive may also be ``s3://BUCKET/PREFIX``.
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
    ArchiveError
        An archive cannot be read.
    """
    paths = [local_copy(place) for place in places]
    parts: dict[str, list[Part]] = defaultdict(list)
    for path in paths:
        for file in bar_files(path):
            table = one_interval(tables.read_table(file), interval_s)
            for part in _parts(path, table) if table is not None else ():
                parts[part.market].append(part)
    if not parts:
        msg = f"no bars of {interval_s} s in {', '.join(map(str, places))}"
        raise TrainingError(msg)
    series = [to_series(market, parts[market]) for market in sorted(parts)]
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
    named = layout.market is not None or _named_market(source, table.file) is not None
    for market, rows in _by_market(source, some, layout):
        order = rows[np.argsort(ts_ns[rows], kind="stable")]
        opened, close = values["open"][order], values["close"][order]
        refuse_mixture(some, layout, order, ts_ns[order], opened, close)
        made.append(
            Part(
                market,
                some,
                order,
                ts_ns[order],
                {name: column[order] for name, column in values.items()},
                int(order[-1]),
                named,
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
    # Some exports fill a minute without trades with zeros.
    unknown = np.stack([np.isnan(values[name]) | (values[name] == 0) for name in PRICES])
    kept = np.asarray(~unknown.all(axis=0), np.bool_)
    for name in PRICES:
        column = getattr(layout, name)
        _refuse(table, column, kept & np.isnan(values[name]), "missing")
        bad = kept & ~((values[name] > 0) & np.isfinite(values[name]))
        _refuse(table, column, bad, "not a positive, finite price")
    _refuse_outside(table, layout, values, kept)
    if layout.volume is not None:
        _refuse(table, layout.volume, values["volume"] < 0, "a negative volume")
        _refuse(table, layout.volume, np.isinf(values["volume"]), "not a finite volume")
    return kept


def _refuse_outside(table: Table, layout: Layout, values: dict[str, Float64], kept: Bool) -> None:
    """Refuse a high below the low, and an open or a close that is not between them.

    Raises
    ------
    TrainingError
        At the first such row.
    """
    high, low = values["high"], values["low"]
    _refuse(table, layout.high, kept & (high < low), f"below the {layout.low} of its row")
    for name in ("open", "close"):
        column, price = getattr(layout, name), values[name]
        above = kept & (price > high * (1 + _ROUNDING))
        _refuse(table, column, above, f"above the {layout.high} of its row")
        below = kept & (price < low * (1 - _ROUNDING))
        _refuse(table, column, below, f"below the {layout.low} of its row")


def _refuse(table: Table, column: str, bad: Bool, problem: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        more = f" (and {len(rows) - 1} rows more)" if len(rows) > 1 else ""
        raise table.error(int(rows[0]), column, f"{problem}{more}")


def _by_market(source: Path, table: Table, layout: Layout) -> list[tuple[str, Int64]]:
    if layout.market is None:
        market = _named_market(source, table.file) or source.name
        return [(market, np.arange(len(table), dtype=np.int64))]
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


def _named_market(source: Path, file: DataFile) -> str | None:
    """Return the pair in a file's name or in a folder's within the source."""
    inside = PurePath(file.member) if file.member else PurePath(file.path.name)
    if source.is_dir():
        inside = PurePath(*file.path.relative_to(source).parts[:-1]) / inside
    if file.member:
        inside = PurePath(file.path.stem) / inside
    return market_in(inside)
