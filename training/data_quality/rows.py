"""Rows to compare: the features that are served, one row of each symbol and second."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flows.errors import TrainingError
from flows.numeric.arrays import Float32, Int64
from flows.numeric.histograms import MIN_ROWS
from flows.numeric.time import NS_PER_S
from schemas.features import NAMES
from schemas.models import ModelManifest
from training.data.build import FeatureTable
from training.data.dataset import first_of_each, thin
from training.data.ticklog import TickLog
from training.reporting.report import when


@dataclass(frozen=True, slots=True)
class Rows:
    """One side of a comparison, in time order.

    Attributes
    ----------
    name
        What it is, in plain words.
    values
        float32, shape (n, len(columns)), NaN where undefined.
    ts_ns
        int64, shape (n,): effective event time, nanoseconds.
    """

    name: str
    values: Float32
    ts_ns: Int64
    columns: tuple[str, ...] = NAMES

    def __len__(self) -> int:
        return len(self.ts_ns)

    def at(self, rows: Int64, name: str) -> "Rows":
        """Return some rows, under a name."""
        return replace(self, name=name, values=self.values[rows], ts_ns=self.ts_ns[rows])

    def named(self, columns: Sequence[str]) -> "Rows":
        """Return some columns, in this order.

        Raises
        ------
        TrainingError
            One is not there.
        """
        missing = [column for column in columns if column not in self.columns]
        if missing:
            message = f"no such feature: {', '.join(missing)}; there are {', '.join(self.columns)}"
            raise TrainingError(message)
        numbers = [self.columns.index(column) for column in columns]
        return replace(self, values=self.values[:, numbers], columns=tuple(columns))


def warm_rows(name: str, tables: Iterable[tuple[TickLog, FeatureTable]]) -> Rows:
    """Return the first warm row of each symbol and second, as the flow compares them.

    Also where several logs hold one symbol: as two recorders of one market leave them.
    """
    values = [np.empty((0, len(NAMES)), np.float32)]
    times = [np.empty(0, np.int64)]
    symbols = [np.empty(0, np.int32)]
    numbers: dict[str, int] = {}
    for log, table in tables:
        own = [numbers.setdefault(symbol, len(numbers)) for symbol in log.names]
        rows = first_of_each(log.batch.symbol_id, table.ts_effective_ns, NS_PER_S, table.warm)
        values.append(table.values[rows])
        times.append(table.ts_effective_ns[rows])
        symbols.append(np.array(own, np.int32)[log.batch.symbol_id[rows]])
    ts_ns = np.concatenate(times)
    order = np.argsort(ts_ns, kind="stable")
    symbol = np.concatenate(symbols)[order]
    order = order[first_of_each(symbol, ts_ns[order], NS_PER_S, np.ones(len(order), np.bool_))]
    return Rows(name, np.concatenate(values)[order], ts_ns[order])


def at_most(rows: Rows, most: int) -> Rows:
    """Return at most so many rows, evenly spread.

    Raises
    ------
    TrainingError
        There are too few to compare.
    """
    if len(rows) < MIN_ROWS:
        message = (
            f"too few rows in {rows.name}: {len(rows)} warm ones (one of each symbol and second,"
            f" after 300 s of history), and {MIN_ROWS} are the least that tell anything"
        )
        raise TrainingError(message)
    return rows.at(thin(np.arange(len(rows)), most), rows.name)


def train_and_test(rows: Rows, manifest: ModelManifest) -> tuple[Rows, Rows]:
    """Return the rows that a version was trained on, and those that came after them.

    Raises
    ------
    TrainingError
        The version does not say what it was trained on, or the rows are of another time.
    """
    first, last = manifest.data_from_ns, manifest.data_to_ns
    if first is None or last is None:
        message = f"{manifest.ref} does not say what it was trained on; only trained versions do"
        raise TrainingError(message)
    trained = np.zeros(len(rows), np.bool_)
    for from_ns, to_ns in manifest.data_windows_ns or [(first, last)]:
        trained |= (rows.ts_ns >= from_ns) & (rows.ts_ns <= to_ns)
    train, test = np.flatnonzero(trained), np.flatnonzero(rows.ts_ns > last)
    for part, what in ((train, "of its training"), (test, "after its training")):
        if len(part) == 0:
            message = (
                f"{rows.name} holds no warm row {what}, which was from {when(first)} to"
                f" {when(last)} on {', '.join(manifest.data_sources) or 'unknown sources'}"
            )
            raise TrainingError(message)
    return (
        rows.at(train, f"training of {manifest.ref}"),
        rows.at(test, f"after the training of {manifest.ref}"),
    )
