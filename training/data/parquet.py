"""A folder of Parquet ticks of the columns in :class:`schemas.ticks.Tick`."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.codec.batch import NO_TRADE_ID, SymbolTable, TickBatch
from flows.codec.validity import latest_credible_ns
from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Int64
from schemas.features import FEATURE_SET
from schemas.ticks import EARLIEST_NS, LATEST_NS
from training.data.ticklog import TickLog, concatenate, provenance_of, take

NEEDED = ("symbol", "ts_event_ns", "price")
_FLOATS = ("size", "bid", "ask", "bid_size", "ask_size")


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a folder, by name, at any depth.

    Raises
    ------
    TrainingError
        If there is none.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        msg = f"too few ticks: {path} holds no Parquet file"
        raise TrainingError(msg)
    return files


def read_parquet(path: Path) -> list[TickLog]:
    """Read ticks, one log for each partition (column ``partition``, or one for all files).

    Raises
    ------
    TrainingError
        A column is missing or of another type, or the files hold something else than ticks.
    """
    parts: dict[int, list[pa.Table]] = {}
    for file in parquet_files(path):
        table = _read(file)
        for number, part in _by_partition(table):
            parts.setdefault(number, []).append(part)
    return [_log(path, number, parts[number]) for number in sorted(parts)]


def _read(file: Path) -> pa.Table:
    try:
        # Not pq.read_table: it would add columns for folders named key=value, such as partition=0.
        table = pq.ParquetFile(file).read()
    except (OSError, pa.ArrowException) as error:
        msg = f"cannot read {file} as Parquet: {error}"
        raise TrainingError(msg) from None
    names = set(table.column_names)
    if "feature_set" in names or "history_s" in names:
        found = (
            table.column("feature_set")[0].as_py() if "feature_set" in names and len(table) else "?"
        )
        msg = (
            f"{file} holds features (FEATURE_SET {found}), not ticks; this code computes"
            f" FEATURE_SET {FEATURE_SET} itself, from ticks"
        )
        raise TrainingError(msg)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        msg = f"{file} holds no ticks: the column {', '.join(missing)} is missing"
        raise TrainingError(msg)
    return table


def _by_partition(table: pa.Table) -> list[tuple[int, pa.Table]]:
    if "partition" not in table.column_names:
        return [(0, table)]
    column = table.column("partition")
    numbers = sorted(pc.unique(column).to_pylist())
    if len(numbers) == 1:
        return [(int(numbers[0]), table)]
    return [(int(number), table.filter(pc.equal(column, number))) for number in numbers]


def _log(path: Path, number: int, tables: list[pa.Table]) -> TickLog:
    symbols = SymbolTable()
    dead = 0
    batches: list[TickBatch] = []
    offset = 0
    for table in tables:
        batch, valid = _batch(path, table, number, offset, symbols)
        offset += len(batch)
        dead += int((~valid).sum())
        batches.append(batch if valid.all() else take(batch, valid))
    whole = concatenate(batches, number)
    if (np.diff(whole.offset) <= 0).any():
        whole = take(whole, np.unique(whole.offset, return_index=True)[1])
    name = path.name if number == 0 else f"{path.name}[{number}]"
    return TickLog(name, whole, symbols, provenance_of(symbols, "recorded"), dead)


def _batch(
    path: Path, table: pa.Table, number: int, offset: int, symbols: SymbolTable
) -> tuple[TickBatch, Bool]:
    count = len(table)
    try:
        floats = {name: _floats(table, name) for name in ("price", *_FLOATS)}
        ts_event_ns = _ints(table, "ts_event_ns", 0)
        ts_recv_ns = _ints(table, "ts_recv_ns", LATEST_NS)
        offsets = _ints(table, "offset", -1)
        if count and (offsets < 0).any():
            offsets = np.arange(offset, offset + count, dtype=np.int64)
        batch = TickBatch(
            partition=number,
            offset=offsets,
            symbol_id=_symbols(table, symbols),
            ts_event_ns=ts_event_ns,
            side=_ints(table, "side", 0).astype(np.int8),
            trade_id=_ints(table, "trade_id", NO_TRADE_ID),
            gap=_ints(table, "gap", 0).astype(np.bool_),
            ticks=[],
            **floats,
        )
    except (pa.ArrowException, ValueError, TypeError) as error:
        msg = f"{path} holds no usable ticks: {error}"
        raise TrainingError(msg) from None
    return batch, _valid(batch, ts_recv_ns)


def _valid(batch: TickBatch, ts_recv_ns: Int64) -> Bool:
    """Apply the rules of ``flows.codec.decode`` to columns."""
    good = (batch.price > 0) & (batch.price < np.inf)
    for quote in (batch.bid, batch.ask):
        good &= ~((quote <= 0) | (quote == np.inf))
    good &= ~(batch.bid > batch.ask)
    for size in (batch.size, batch.bid_size, batch.ask_size):
        good &= ~(size < 0)
    good &= (batch.ts_event_ns >= EARLIEST_NS) & (batch.ts_event_ns <= LATEST_NS)
    no_timestamps = np.full(len(batch), -1)
    credible = batch.ts_event_ns <= latest_credible_ns(ts_recv_ns, no_timestamps)
    return np.asarray(good & credible, np.bool_)


def _column(table: pa.Table, name: str) -> Any:
    return table.column(name).combine_chunks() if name in table.column_names else None


def _floats(table: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    column = _column(table, name)
    if column is None:
        return np.full(len(table), np.nan)
    return np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _ints(table: pa.Table, name: str, otherwise: int) -> Int64:
    column = _column(table, name)
    if column is None:
        return np.full(len(table), otherwise, np.int64)
    filled = column.cast(pa.int64()).fill_null(otherwise)
    return np.array(filled.to_numpy(zero_copy_only=False), np.int64)


def _symbols(table: pa.Table, symbols: SymbolTable) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return numbers of (venue, symbol) pairs, found by dictionary codes, not row by row."""
    symbol = _column(table, "symbol").cast(pa.string()).dictionary_encode()
    venue = _column(table, "venue")
    if venue is None:
        venue = pa.repeat(pa.scalar("unknown"), len(table))
    venue = venue.cast(pa.string()).dictionary_encode()
    width = max(1, len(venue.dictionary))
    pair = symbol.indices.to_numpy(zero_copy_only=False).astype(np.int64) * width
    pair += venue.indices.to_numpy(zero_copy_only=False)
    codes, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    numbers = np.empty(len(codes), np.int32)
    for at in np.argsort(first):
        one, two = divmod(int(codes[at]), width)
        numbers[at] = symbols.intern(venue.dictionary[two].as_py(), symbol.dictionary[one].as_py())
    return numbers[inverse]
