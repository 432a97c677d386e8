"""Ticks as Parquet: what the archive writes, or any file with such columns.

Columns are those of :class:`schemas.ticks.Tick`, by the contract's names or by usual ones
(``ALIASES``). ``partition`` and ``offset``, where they are there, say where in the log a tick lay.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from flows.codec.batch import NO_TRADE_ID, TickBatch
from flows.codec.symbols import SymbolTable
from flows.codec.validity import latest_credible_ns
from flows.connectors.parquet.reading import DAMAGED_PARQUET
from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float64, Int32, Int64
from schemas.features import FEATURE_SET
from schemas.ticks import EARLIEST_NS, LATEST_NS
from training.data import times
from training.data.files import PARQUET, DataFile, check_columns, data_files
from training.data.merging import FileTicks, logs_of
from training.data.ticklog import TickLog, provenance_of, take

NEEDED = ("symbol", "ts_event_ns", "price")
ALIASES = {
    "ts_event_ns": ("ts_event", "timestamp", "time", "ts", "datetime", "event_time"),
    "ts_recv_ns": ("ts_recv", "received_time", "local_timestamp"),
    "symbol": ("product_id", "pair", "instrument"),
    "venue": ("exchange",),
    "size": ("quantity", "qty", "amount", "volume"),
    "trade_id": ("tradeid", "id"),
    "side": ("taker_side", "aggressor_side"),
    "taker_sells": ("is_buyer_maker", "isbuyermaker", "buyer_maker", "taker_side_sell"),
    "bid": ("best_bid", "bid_price"),
    "ask": ("best_ask", "ask_price"),
    "bid_size": ("best_bid_size", "bid_qty"),
    "ask_size": ("best_ask_size", "ask_qty"),
}
SIDES = {
    **dict.fromkeys(("buy", "b", "bid", "1", "+1", "1.0", "bought"), 1),
    **dict.fromkeys(("sell", "s", "ask", "-1", "-1.0", "sold"), -1),
    **dict.fromkeys(("", "0", "0.0", "none", "unknown", "na"), 0),
}
"""The taker's side by its usual words."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_FLOATS = ("size", "bid", "ask", "bid_size", "ask_size")


def read_parquet(path: Path) -> list[TickLog]:
    """Read ticks, one log for each partition (column ``partition``, or one for all files).

    Files whose offsets contradict each other are of two logs, and become two. Without offsets,
    files are merged by time; ticks that stand in two of them are taken once.

    Raises
    ------
    TrainingError
        A column is missing or of another type, a file is damaged, or the files hold something else
        than ticks.
    """
    parts: dict[int, list[FileTicks]] = {}
    symbols: dict[int, SymbolTable] = {}
    dead: dict[int, int] = {}
    problems: list[str] = []
    for file in data_files(path, PARQUET, "ticks"):
        for number, table, places in _by_partition(file, _read(file)):
            known = symbols.setdefault(number, SymbolTable())
            batch, has_offsets, unusable = _batch(file, table, number, known)
            problems += [
                f"{file.name}, row {places[row] + 1}: {why}" for row, why in unusable.first.items()
            ]
            dead[number] = dead.get(number, 0) + unusable.count
            parts.setdefault(number, []).append(FileTicks(batch, has_offsets))
    if problems:
        structlog.get_logger().warning(
            "unusable ticks are left out", count=sum(dead.values()), first=problems[0]
        )
    if not any(len(rows.batch) for some in parts.values() for rows in some):
        cause = f": {problems[0]}" if problems else ""
        msg = f"too few ticks: {path} holds no usable one{cause}"
        raise TrainingError(msg)
    made: list[TickLog] = []
    for number in sorted(parts):
        kind = provenance_of(symbols[number], "recorded")
        for at, batch in enumerate(logs_of(number, parts[number])):
            name = path.name if number == 0 else f"{path.name}[{number}]"
            name += f"#{at + 1}" if at else ""
            made.append(TickLog(name, batch, symbols[number], kind, dead[number] if at == 0 else 0))
    return made


def _read(file: DataFile) -> pa.Table:
    try:
        # Not pq.read_table: it would add columns for folders named key=value, such as partition=0.
        table = pq.ParquetFile(file.path).read()
    except DAMAGED_PARQUET as error:
        msg = f"cannot read {file.path} as Parquet: {error}"
        raise TrainingError(msg) from None
    check_columns(file, table.column_names)
    table = _with_folders(file, table)
    names = set(table.column_names)
    if "feature_set" in names or "history_s" in names:
        found = (
            table.column("feature_set")[0].as_py() if "feature_set" in names and len(table) else "?"
        )
        msg = (
            f"{file.path} holds features (FEATURE_SET {found}), not ticks; this code computes"
            f" FEATURE_SET {FEATURE_SET} itself, from ticks"
        )
        raise TrainingError(msg)
    lower = {str(name).strip().lower(): name for name in reversed(table.column_names)}
    renamed: dict[str, str] = {}
    for name in dict.fromkeys((*NEEDED, *_FLOATS, *ALIASES, "gap")):
        source = next((one for one in (name, *ALIASES.get(name, ())) if one in lower), None)
        if source is not None:
            renamed[lower[source]] = name
    missing = [name for name in NEEDED if name not in renamed.values()]
    if missing:
        msg = (
            f"{file.path} holds no ticks: the column {', '.join(missing)} is missing; it has"
            f" {', '.join(table.column_names)}"
        )
        raise TrainingError(msg)
    return table.rename_columns([renamed.get(name, name) for name in table.column_names])


def _with_folders(file: DataFile, table: pa.Table) -> pa.Table:
    """Return a table with the market that its folders name, such as ``symbol=BTC-USD``.

    Spark, DuckDB and polars leave a column out of the files that they put into folders by it.
    """
    folders = dict(part.split("=", 1) for part in file.path.parent.parts if "=" in part)
    lower = {name.strip().lower() for name in table.column_names}
    for name in ("symbol", "venue"):
        names = (name, *ALIASES[name])
        value = next((text for key, text in folders.items() if key.lower() in names), None)
        if value is None or lower.intersection(names):
            continue
        known = None if value == _NO_VALUE else unquote(value)
        table = table.append_column(name, pa.repeat(pa.scalar(known, pa.string()), len(table)))
    return table


def _by_partition(file: DataFile, table: pa.Table) -> list[tuple[int, pa.Table, Int64]]:
    rows = np.arange(len(table), dtype=np.int64)
    if "partition" not in table.column_names:
        return [(0, table, rows)]
    partition = _ints(file, table, "partition", -1)
    numbers, first = np.unique(partition, return_index=True)
    if len(numbers) and numbers[0] < 0:
        at = int(first[0])
        raise _bad_value(
            file, "partition", at, table.column("partition")[at].as_py(), "no partition"
        )
    if len(numbers) == 1:
        return [(int(numbers[0]), table, rows)]
    return [
        (int(number), table.filter(pa.array(mine)), rows[mine])
        for number in numbers
        for mine in [partition == number]
    ]


@dataclass(slots=True)
class _Unusable:
    """How many ticks cannot be used, and the first row of each reason."""

    count: int
    first: dict[int, str]


def _batch(
    file: DataFile, table: pa.Table, number: int, symbols: SymbolTable
) -> tuple[TickBatch, bool, _Unusable]:
    count = len(table)
    try:
        offsets = _ints(file, table, "offset", -1)
        has_offsets = "offset" in table.column_names and bool((offsets >= 0).all())
        has_offsets = has_offsets and not _contradict(file, table, offsets)
        trade_id = _trade_ids(file, table)
        batch = TickBatch(
            partition=number,
            offset=offsets if has_offsets else np.arange(count, dtype=np.int64),
            symbol_id=_symbols(table, symbols),
            ts_event_ns=_times(file, table, "ts_event_ns", 0),
            side=_sides(file, table),
            # A venue's 0 stands for no id.
            trade_id=np.where(trade_id == 0, NO_TRADE_ID, trade_id),
            gap=_flags(file, table, "gap"),
            ticks=[],
            **_prices_and_sizes(file, table),
        )
        received_ns = _times(file, table, "ts_recv_ns", -1)
    except (pa.ArrowException, ValueError, TypeError) as error:
        msg = f"{file.path} holds no usable ticks: {error}"
        raise TrainingError(msg) from None
    valid, unusable = _valid(batch, received_ns, _has_symbol(table))
    return (batch if valid.all() else take(batch, valid)), has_offsets, unusable


def _contradict(file: DataFile, table: pa.Table, offsets: Int64) -> bool:
    """Whether other ticks of one file stand at the same offset, so that it is none of Kafka's."""
    order = np.argsort(offsets, kind="stable")
    same = np.flatnonzero(np.diff(offsets[order]) == 0)
    here, there = pa.array(order[same]), pa.array(order[same + 1])
    for name in NEEDED if len(same) else ():
        column = table.column(name)
        if not column.take(here).equals(column.take(there)):
            structlog.get_logger().warning(
                "other ticks stand at the same offset; offsets order nothing", file=file.name
            )
            return True
    return False


def _valid(batch: TickBatch, received_ns: Int64, named: Bool) -> tuple[Bool, _Unusable]:
    """Apply the rules of ``flows.codec.validity`` to columns."""
    price, ts_ns = batch.price, batch.ts_event_ns
    credible_ns = latest_credible_ns(received_ns, np.full(len(batch), -1))
    rules = {
        "symbol is missing": ~named,
        "price is not a positive, finite number": ~((price > 0) & (price < np.inf)),
        "ts_event_ns is no time after 2008": (ts_ns < EARLIEST_NS) | (ts_ns > LATEST_NS),
        "ts_event_ns is ahead of ts_recv_ns": ts_ns > credible_ns,
    }
    valid = np.ones(len(batch), np.bool_)
    first: dict[int, str] = {}
    for reason, bad in rules.items():
        fresh = np.flatnonzero(bad & valid)
        if len(fresh):
            first.setdefault(int(fresh[0]), reason)
        valid &= ~bad
    return valid, _Unusable(int((~valid).sum()), dict(sorted(first.items())))


def _column(table: pa.Table, name: str) -> Any:
    if name not in table.column_names:
        return None
    column = table.column(name).combine_chunks()
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _cast(file: DataFile, column: Any, name: str, kind: pa.DataType, what: str) -> Any:
    """Return a column as another type; the first value that cannot be that is named."""
    try:
        return column.cast(kind)
    except pa.ArrowException:
        for row, value in enumerate(column):
            try:
                value.cast(kind)
            except pa.ArrowException:
                raise _bad_value(file, name, row, value.as_py(), what) from None
        raise


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _bad_value(file: DataFile, name: str, row: int, value: object, what: str) -> TrainingError:
    return TrainingError(f"{file.path}, row {row + 1}: {name} is {value!r}, {what}")


def _floats(file: DataFile, table: pa.Table, name: str) -> Float64:
    column = _column(table, name)
    if column is None:
        return np.full(len(table), np.nan)
    if pa.types.is_boolean(column.type):
        raise _bad_value(file, name, 0, column[0].as_py() if len(column) else None, "not a number")
    numbers = _cast(file, column, name, pa.float64(), "not a number")
    return np.array(numbers.to_numpy(zero_copy_only=False), np.float64)


def _prices_and_sizes(file: DataFile, table: pa.Table) -> dict[str, Float64]:
    """Return prices, sizes and quotes; a quote or size that is none, such as 0, is unknown.

    As where a venue's messages are read: the trade lives without it.
    """
    made = {name: _floats(file, table, name) for name in ("price", *_FLOATS)}
    for name in _FLOATS:
        made[name][~((made[name] > 0) & np.isfinite(made[name]))] = np.nan
    for sides in (("bid", "bid_size"), ("ask", "ask_size")):
        made[sides[1]][np.isnan(made[sides[0]])] = np.nan
    crossed = made["bid"] > made["ask"]
    for name in _FLOATS[1:]:
        made[name][crossed] = np.nan
    return made


def _ints(file: DataFile, table: pa.Table, name: str, otherwise: int) -> Int64:
    column = _column(table, name)
    if column is None:
        return np.full(len(table), otherwise, np.int64)
    if pa.types.is_floating(column.type):
        # What pandas makes of whole numbers, of which some are missing.
        column = pc.if_else(pc.is_nan(column), None, column)
    filled = _cast(file, column, name, pa.int64(), "not a whole number").fill_null(otherwise)
    return np.array(filled.to_numpy(zero_copy_only=False), np.int64)


def _trade_ids(file: DataFile, table: pa.Table) -> Int64:
    """Return ids; a venue's ids that are no numbers order nothing and are unknown."""
    column = _column(table, "trade_id")
    words = column is not None and _is_text(column) and column.drop_null()
    if words and not pc.any(pc.match_substring_regex(words, r"^\s*[+-]?\d+\s*$")).as_py():
        return np.full(len(table), NO_TRADE_ID, np.int64)
    return _ints(file, table, "trade_id", NO_TRADE_ID)


def _flags(file: DataFile, table: pa.Table, name: str) -> Bool:
    """Return a column of yes or no; what is null is no."""
    column = _column(table, name)
    if column is None or not _is_text(column):
        return _ints(file, table, name, 0).astype(np.bool_)
    words = _cast(file, pc.utf8_lower(column), name, pa.bool_(), "neither true nor false")
    return np.array(words.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _times(file: DataFile, table: pa.Table, name: str, otherwise: int) -> Int64:
    column = _column(table, name)
    if column is None:
        return np.full(len(table), otherwise, np.int64)
    made, problem = times.column_to_ns(column)
    if problem:
        msg = f"{file.path}: the column {name} holds no times: {problem}"
        raise TrainingError(msg)
    made[made == times.UNKNOWN] = otherwise
    return made


def _sides(file: DataFile, table: pa.Table) -> Any:
    column = _column(table, "side")
    if column is None:
        sells = _column(table, "taker_sells")
        if sells is None:
            return np.zeros(len(table), np.int8)
        known = np.asarray(sells.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        sides = np.where(_flags(file, table, "taker_sells"), -1, 1)
        return np.where(known, sides, 0).astype(np.int8)
    words = [
        str(value).strip().lower() for value in column.cast(pa.string()).fill_null("").to_pylist()
    ]
    strange = next((at for at, word in enumerate(words) if word not in SIDES), None)
    if strange is not None:
        msg = (
            f"{file.path}, row {strange + 1}: side is {words[strange]!r}; known are buy and sell,"
            " 1 and -1, of the taker"
        )
        raise TrainingError(msg)
    return np.array([SIDES[word] for word in words], np.int8)


def _has_symbol(table: pa.Table) -> Bool:
    column = _column(table, "symbol")
    known = pc.and_(column.is_valid(), pc.not_equal(column.cast(pa.string()), ""))
    return np.asarray(known.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _symbols(table: pa.Table, symbols: SymbolTable) -> Int32:
    """Return numbers of (venue, symbol) pairs, found by dictionary codes, not row by row."""
    symbol = _column(table, "symbol").cast(pa.string()).fill_null("").dictionary_encode()
    venue = _column(table, "venue")
    if venue is None:
        venue = pa.repeat(pa.scalar("unknown"), len(table))
    venue = venue.cast(pa.string()).fill_null("unknown").dictionary_encode()
    width = max(1, len(venue.dictionary))
    pair = symbol.indices.to_numpy(zero_copy_only=False).astype(np.int64) * width
    pair += venue.indices.to_numpy(zero_copy_only=False)
    codes, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    numbers = np.empty(len(codes), np.int32)
    for at in np.argsort(first):
        one, two = divmod(int(codes[at]), width)
        numbers[at] = symbols.intern(venue.dictionary[two].as_py(), symbol.dictionary[one].as_py())
    return np.asarray(numbers[inverse], np.int32)
