"""Raw messages to columns: what is usable goes on as a batch, the rest becomes dead letters.

The fast path decodes a whole batch by one reused decoder and checks ranges on whole columns. Only
a batch that holds something undecodable is walked message by message.
"""

import re
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flows.codec.batch import NO_TRADE_ID, RawBatch, TickBatch
from flows.codec.gap_marks import gap_mark
from flows.codec.symbols import SymbolTable
from flows.codec.validity import defects, explain, latest_credible_ns
from flows.numeric.arrays import Int32, Int64
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import UNREADABLE
from schemas.ticks import Tick

MAX_BYTES = 64 * 1024
_SHOWN = 64

# Type of each column, and how to read its values. Nothing but a null is refused by the types.
_COLUMNS: dict[str, tuple[type[np.generic], Callable[[Tick], Any]]] = {
    name: (dtype, attrgetter(name))
    for dtype, names in (
        (np.float64, ("price", "size", "bid", "ask", "bid_size", "ask_size")),
        (np.int64, ("ts_event_ns", "trade_id")),
        (np.int8, ("side",)),
        (np.bool_, ("gap",)),
    )
    for name in names
}
_RECEIVED = attrgetter("ts_recv_ns")

_TICK = msgspec.json.Decoder(Tick)
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PATH = re.compile(r" - at `\$\.?(?P<field>\w+)?.*`$")


def decode(
    raw: RawBatch, symbols: SymbolTable, topic: str, allowed: frozenset[str]
) -> tuple[TickBatch, list[DeadLetter]]:
    """Decode and check a batch.

    Parameters
    ----------
    symbols
        The partition's table; symbols of usable ticks are added to it.
    topic
        Where the batch came from, for the dead letters.
    allowed
        If not empty, ticks of other symbols are refused.

    Returns
    -------
    The usable ticks, and a dead letter for each other message, both in offset order.
    """
    ticks, positions, dead = _decode_messages(raw, topic)
    if positions is None:
        offsets = np.array(raw.offsets, np.int64)
        timestamps_ms = np.array(raw.timestamps_ms, np.int64)
    else:
        offsets = np.array(raw.offsets, np.int64)[positions]
        timestamps_ms = np.array(raw.timestamps_ms, np.int64)[positions]
    columns = _columns(ticks, offsets)
    latest_ns = latest_credible_ns(_received(ticks), timestamps_ms)
    found = defects(ticks, columns, latest_ns, allowed)
    bad = np.logical_or.reduce([mask for _reason, mask in found])
    if bad.any():
        payloads = raw.values if positions is None else [raw.values[at] for at in positions]
        for at in np.flatnonzero(bad).tolist():
            reason = next(reason for reason, mask in found if mask[at])
            detail = explain(reason, ticks[at], int(timestamps_ms[at]))
            dead.append(_dead_letter(raw, topic, int(offsets[at]), payloads[at], reason, detail))
        dead.sort(key=lambda dead_letter: dead_letter.offset or 0)
        good = ~bad
        ticks = [ticks[at] for at in np.flatnonzero(good).tolist()]
        columns = {name: column[good] for name, column in columns.items()}
    symbol_ids = _symbol_ids(ticks, symbols)
    symbols.see(symbol_ids, columns["offset"])
    if dead or symbols.gap_marks.keys:
        _carry_gap_marks(symbols, dead, allowed, columns, symbol_ids)
    batch = TickBatch(
        partition=raw.partition,
        offset=columns["offset"],
        symbol_id=symbol_ids,
        ts_event_ns=columns["ts_event_ns"],
        price=columns["price"],
        size=columns["size"],
        side=columns["side"],
        bid=columns["bid"],
        ask=columns["ask"],
        bid_size=columns["bid_size"],
        ask_size=columns["ask_size"],
        trade_id=columns["trade_id"],
        gap=columns["gap"],
        ticks=ticks,
    )
    return batch, dead


def _decode_messages(
    raw: RawBatch, topic: str
) -> tuple[list[Tick], list[int] | None, list[DeadLetter]]:
    """Return decoded ticks, where in the batch they are (None: all of it), and dead letters."""
    values = raw.values
    try:
        if max(map(len, values), default=0) <= MAX_BYTES:
            return list(map(_TICK.decode, values)), None, []
    except UNREADABLE:
        pass  # some message is broken: look at each
    ticks: list[Tick] = []
    positions: list[int] = []
    dead: list[DeadLetter] = []
    for at, value in enumerate(values):
        outcome = _decode_message(value)
        if isinstance(outcome, Tick):
            ticks.append(outcome)
            positions.append(at)
        else:
            dead.append(_dead_letter(raw, topic, raw.offsets[at], value, *outcome))
    return ticks, positions, dead


def _decode_message(value: bytes) -> Tick | tuple[Reason, str]:
    if len(value) > MAX_BYTES:
        return Reason.TOO_LARGE, f"the message has {len(value)} bytes, more than {MAX_BYTES}"
    if not value:
        return Reason.NOT_JSON, "the message has no value"
    try:
        return _TICK.decode(value)
    except msgspec.ValidationError as error:
        return _invalid(value, str(error))
    except UNREADABLE as error:
        return Reason.NOT_JSON, _broken(value) or f"not JSON: {error}"


def _invalid(value: bytes, complaint: str) -> tuple[Reason, str]:
    """Classify a message whose decoding stopped at a field; what follows it may not be JSON."""
    broken = _broken(value)
    if broken is not None:
        return Reason.NOT_JSON, broken
    if complaint.startswith("Object missing required field"):
        return Reason.MISSING_FIELD, complaint.replace("Object missing", "missing")
    found = _PATH.search(complaint)
    field = found["field"] if found else None
    if field is None:
        return Reason.WRONG_TYPE, f"{complaint}: {_shown(value)}"
    cause = complaint[: found.start()] if found else complaint
    try:
        text = bytes(_FIELDS.decode(value)[field])
    except (*UNREADABLE, KeyError):  # some other key of the object is not text
        text = value
    out_of_range = cause == "Number out of range" and field in {"price", "bid", "ask"}
    reason = Reason.BAD_PRICE if out_of_range else Reason.WRONG_TYPE
    return reason, f"{field} is {_shown(text)}: {cause}"


def _broken(value: bytes) -> str | None:
    """Return why bytes are not JSON, None if they are."""
    try:
        value.decode()
        _SYNTAX.decode(value)
    except UnicodeDecodeError as error:
        return f"not JSON: bytes that are not UTF-8 ({error.reason})"
    except RecursionError:
        return "not usable as JSON: nested too deeply"
    except msgspec.DecodeError as error:
        return f"not JSON: {error}"
    return None


def _shown(text: bytes) -> str:
    short = text[:_SHOWN].decode("utf-8", "replace")
    return short if len(text) <= _SHOWN else f"{short}..."


def _columns(ticks: list[Tick], offsets: Int64) -> dict[str, np.ndarray]:
    return {"offset": offsets, **{name: _column(ticks, name) for name in _COLUMNS}}


def _column(ticks: list[Tick], name: str) -> npt.NDArray[Any]:
    dtype, read = _COLUMNS[name]
    try:
        return np.fromiter(map(read, ticks), dtype, len(ticks))
    except TypeError:  # a null is among them
        null = np.nan if dtype is np.float64 else NO_TRADE_ID
        values = (null if value is None else value for value in map(read, ticks))
        return np.fromiter(values, dtype, len(ticks))


def _received(ticks: list[Tick]) -> Int64:
    """Return when each tick was received, -1 where it does not say."""
    try:
        return np.fromiter(map(_RECEIVED, ticks), np.int64, len(ticks))
    except TypeError:  # a null is among them
        values = (-1 if value is None else value for value in map(_RECEIVED, ticks))
        return np.fromiter(values, np.int64, len(ticks))


def _symbol_ids(ticks: list[Tick], symbols: SymbolTable) -> Int32:
    by_venue = symbols.by_venue
    try:
        return np.array([by_venue[t.venue][t.symbol] for t in ticks], np.int32)
    except KeyError:
        return np.array([symbols.intern(t.venue, t.symbol) for t in ticks], np.int32)


def _carry_gap_marks(
    symbols: SymbolTable,
    dead: list[DeadLetter],
    allowed: frozenset[str],
    columns: dict[str, np.ndarray],
    symbol_ids: Int32,
) -> None:
    """Keep the gap marks of refused ticks; give those that wait to the usable ticks they are for.

    ``dead`` is in offset order; the column of gaps is changed in place.
    """
    marks = symbols.gap_marks
    found = deque(
        (each.offset or 0, *mark)
        for each in dead
        if (mark := gap_mark(each.payload, allowed)) is not None
    )
    wanted = [*marks.keys, *(key for _offset, key, _trade_id in found)]
    keys = {symbols.ids[key]: key for key in wanted if key in symbols.ids}
    rows = np.flatnonzero(np.isin(symbol_ids, list(keys))).tolist() if keys else []
    for row in rows:
        offset, trade_id = int(columns["offset"][row]), int(columns["trade_id"][row])
        while found and found[0][0] < offset:
            marks.add(*found.popleft())
        own_id = None if trade_id == NO_TRADE_ID else trade_id
        if marks.take(keys[int(symbol_ids[row])], offset, own_id):
            columns["gap"][row] = True
    for left in found:
        marks.add(*left)


def _dead_letter(
    raw: RawBatch, topic: str, offset: int, payload: bytes, reason: Reason, detail: str
) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        detail=detail,
        payload=payload,
        topic=topic,
        partition=raw.partition,
        offset=offset,
    )
