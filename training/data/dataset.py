"""Rows of a training set: features and the quantity that labels are cut from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float32, Float64, Int32, Int64
from schemas.features import NAMES
from schemas.models import Provenance


@dataclass(frozen=True, slots=True)
class Dataset:
    """Warm rows with a known label, in time order.

    Attributes
    ----------
    values
        float32, shape (n, len(NAMES)), NaN where undefined.
    ts_ns
        int64, shape (n,): effective event time, nanoseconds.
    symbol
        int32, shape (n,): index into ``symbols``.
    quantity
        float64, shape (n,): the quantity that the label is cut from (ratio, volatility or return).
    symbols
        ``venue:symbol``.
    ticks
        How many ticks were read, all symbols together.
    counters
        Duplicates, late ticks, gaps, restarts and dead letters found while reading.
    columns
        Names of the columns of ``values``: the feature contract, but for bars.
    """

    values: Float32
    ts_ns: Int64
    symbol: Int32
    quantity: Float64
    symbols: list[str]
    provenance: Provenance
    sources: list[str]
    ticks: int
    counters: dict[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = NAMES

    def __len__(self) -> int:
        return len(self.ts_ns)

    def pick(self, rows: Int64, features: Sequence[str]) -> Float32:
        """Return some rows' named features, float32, shape (len(rows), len(features))."""
        at = {name: position for position, name in enumerate(self.columns)}
        columns = np.array([at[name] for name in features], np.int64)
        return self.values[np.ix_(rows, columns)]

    def defined(self, rows: Int64, *, varying: bool = False) -> list[str]:
        """Return the features that have a defined value in some rows, or two different ones."""
        values = self.values[rows]
        if varying:
            low = np.where(np.isnan(values), np.inf, values).min(axis=0)
            high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
            known = low < high
        else:
            known = ~np.isnan(values).all(axis=0)
        return [name for name, is_known in zip(self.columns, known, strict=True) if is_known]

    def check_finite(self) -> None:
        """Refuse infinite values; undefined ones are NaN and allowed.

        Raises
        ------
        TrainingError
            Naming the features.
        """
        infinite = np.isinf(self.values).any(axis=0)
        if infinite.any():
            names = ", ".join(self.columns[int(k)] for k in np.flatnonzero(infinite))
            msg = f"infinite values in the features {names}; the source is broken or foreign"
            raise TrainingError(msg)

    def window(self, from_ns: int, to_ns: int) -> Int64:
        """Return the numbers of rows with ``from_ns <= ts < to_ns``."""
        return np.flatnonzero((self.ts_ns >= from_ns) & (self.ts_ns < to_ns))


def first_of_each(symbol: Int32, ts_ns: Int64, every_ns: int, usable: Bool) -> Int64:
    """Return the first usable row of each symbol and absolute interval, in row order.

    The first, because which row is the last is known only when the next one has come.
    """
    rows = np.flatnonzero(usable)
    key = ts_ns[rows] // every_ns
    order = np.lexsort((rows, key, symbol[rows]))
    same = np.zeros(len(rows), dtype=bool)
    if len(rows) > 1:
        one, two = order[1:], order[:-1]
        same[1:] = (key[one] == key[two]) & (symbol[rows][one] == symbol[rows][two])
    return np.sort(rows[order[~same]])


def fit_level(quantity: Float64, percentile: float) -> float:
    """Return the level above which ``100 - percentile`` percent of training quantities lie."""
    return float(np.quantile(quantity, percentile / 100))


def thin(rows: Int64, most: int) -> Int64:
    """Return at most ``most`` of the rows, evenly spread."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def join(parts: Iterable[Dataset]) -> Dataset:
    """Put several logs together, in time order.

    Raises
    ------
    TrainingError
        If there is none.
    """
    logs = list(parts)
    if not logs:
        msg = "too few ticks: the source holds none"
        raise TrainingError(msg)
    symbols = sorted({name for log in logs for name in log.symbols})
    numbers = [np.array([symbols.index(name) for name in log.symbols], np.int32) for log in logs]
    symbol = np.concatenate([number[log.symbol] for number, log in zip(numbers, logs, strict=True)])
    ts_ns = np.concatenate([log.ts_ns for log in logs])
    order = np.argsort(ts_ns, kind="stable")
    kinds = {log.provenance for log in logs}
    counters: dict[str, int] = {}
    for log in logs:
        for name, count in log.counters.items():
            counters[name] = counters.get(name, 0) + count
    return Dataset(
        values=np.concatenate([log.values for log in logs])[order],
        ts_ns=ts_ns[order],
        symbol=symbol[order],
        quantity=np.concatenate([log.quantity for log in logs])[order],
        symbols=symbols,
        provenance="simulated" if "simulated" in kinds else logs[0].provenance,
        sources=[source for log in logs for source in log.sources],
        ticks=sum(log.ticks for log in logs),
        counters=counters,
        columns=logs[0].columns,
    )
