"""Notice that the rows of one table are of several markets that nothing names."""

import re
from dataclasses import fields

import numpy as np
import pandas as pd

from flows.errors import LeakError
from flows.numeric.arrays import Bool, Float64, Int64
from training.data.layouts import Layout
from training.data.tables import Table

# The price of another market lies that much further away than the own one moves.
_FURTHER = 5.0
_LEAST_JUMP = 0.01
_TURNS = 3
# Where no column tells rows apart: some jumps there and back, or a single one as nothing makes it.
_LEAST_UNNAMED_JUMP = 0.4
_IMPOSSIBLE_JUMP = 1.0
_FURTHER_UNNAMED = 20.0
_MOST_LABELS = 1_000
_WORD = re.compile(r"[^\W\d_]")


def refuse_mixture(
    table: Table, layout: Layout, rows: Int64, ts_ns: Int64, opened: Float64, close: Float64
) -> None:
    """Refuse rows of one series that are of several markets.

    A column of words tells rows of different price levels apart, or the price jumps from one bar's
    close to the next one's open as no market's does.

    Parameters
    ----------
    rows
        int64, shape (n,): rows of the table in time order.
    ts_ns, opened, close
        Of those rows, shape (n,).

    Raises
    ------
    TrainingError
        Naming the first row of another market, by the column's word for it.
    LeakError
        Naming the first row behind a jump: forecasts would know more of these than of a market.
    """
    if len(rows) <= _TURNS:
        return
    steps = np.diff(ts_ns)
    near = np.asarray(2 * steps < 3 * np.median(steps), np.bool_)  # a hole may move a price
    told = {getattr(layout, each.name) for each in fields(layout)}
    for column in table.frame.columns:
        if column not in told:
            _refuse_levels(table, column, rows, close, near)
    _refuse_jumps(table, layout.open, rows, opened, close, near)


def _refuse_levels(table: Table, column: str, rows: Int64, close: Float64, near: Bool) -> None:
    codes, names = pd.factorize(table.frame[column].iloc[rows].astype(str))
    if not 1 < len(names) <= min(_MOST_LABELS, len(rows) // 2):
        return
    if not all(_WORD.search(str(name)) for name in names):
        return  # numbers are measurements
    logs = np.log(close)
    across = near & (codes[1:] != codes[:-1])
    if not across.any():
        return
    moves = np.abs(np.diff(logs))
    own = pd.Series(logs).groupby(codes).diff().abs().dropna()
    jump = float(np.median(moves[across]))
    least = _LEAST_JUMP if across.sum() >= _TURNS else _LEAST_UNNAMED_JUMP
    if jump > least and jump > _FURTHER * (float(own.median()) if len(own) else 0.0):
        at = int(np.flatnonzero(across)[0]) + 1
        problem = (
            f"and its prices are not those of {names[codes[at - 1]]!r} before it; if these are"
            " markets, call the column symbol"
        )
        raise table.error(int(rows[at]), column, problem)


def _refuse_jumps(
    table: Table, column: str, rows: Int64, opened: Float64, close: Float64, near: Bool
) -> None:
    jumps = np.log(opened[1:] / close[:-1])
    body = float(np.median(np.abs(np.log(close / opened))))
    sizes = np.where(near, np.abs(jumps), 0.0)
    sizes[sizes < _FURTHER_UNNAMED * body] = 0.0
    far = sizes > _LEAST_UNNAMED_JUMP
    is_there_and_back = (jumps[far] > 0).any() and (jumps[far] < 0).any()
    if (far.sum() >= _TURNS and is_there_and_back) or (sizes > _IMPOSSIBLE_JUMP).any():
        at = int(np.flatnonzero(far)[0]) + 1
        problem = (
            f"straight after a close of {close[at - 1]:g} ({far.sum()} jumps like that). Look for"
            " two markets or two price levels in one series; name markets in a column called symbol"
        )
        raise LeakError(str(table.error(int(rows[at]), column, problem)))
