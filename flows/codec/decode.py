"""Raw messages to columns: what is usable goes on as a batch, the rest becomes dead letters.

The fast path decodes a whole batch by one reused decoder and checks ranges on whole columns. Only
a batch that holds something undecodable is walked message by message.
"""

import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flows.codec.batch import NO_TRADE_ID, RawBatch, SymbolTable, TickBatch
from flows.numeric.arrays import Bool, Float64, Int32, Int64
from flows.numeric.time import NS_PER_S
from schemas.dead_letters import DeadLetter, Reason
from schemas.ticks import Tick

MAX_BYTES = 64 * 1024
MAX_AHEAD_NS = 5 * NS_PER_S
ANCIENT_NS = 1_230_768_000_000_000_000  # 2009-01-01, before the first trade of any of this
# Four months before nanoseconds since 1970 leave 64 bits: adding an hour must stay possible.
LATEST_NS = 9_213_000_000_000_000_000
_NO_LIMIT = np.iinfo(np.int64).max
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
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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
    limit = _time_limit(ticks, timestamps_ms)
    defects = _defects(ticks, columns, limit, allowed)
    bad = np.logical_or.reduce([mask for _reason, mask in defects])
    if bad.any():
        payloads = raw.values if positions is None else [raw.values[at] for at in positions]
        for at in np.flatnonzero(bad).tolist():
            reason = next(reason for reason, mask in defects if mask[at])
            detail = _explain(reason, ticks[at], int(timestamps_ms[at]))
            dead.append(_dead_letter(raw, topic, int(offsets[at]), payloads[at], reason, detail))
        dead.sort(key=lambda dead_letter: dead_letter.offset or 0)
        good = ~bad
        ticks = [ticks[at] for at in np.flatnonzero(good).tolist()]
        columns = {name: column[good] for name, column in columns.items()}
    batch = TickBatch(
        partition=raw.partition,
        offset=columns["offset"],
        symbol_id=_symbol_ids(ticks, symbols),
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
    except _UNDECODABLE:
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
    except _UNDECODABLE as error:
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
    except (*_UNDECODABLE, KeyError):  # some other key of the object is not text
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


def _time_limit(ticks: list[Tick], timestamps_ms: Int64) -> Int64:
    """Return what each tick's time is held against: received at, else written to Kafka at."""
    try:
        return np.fromiter(map(_RECEIVED, ticks), np.int64, len(ticks))
    except TypeError:  # a null is among them
        written = np.where(timestamps_ms < 0, _NO_LIMIT, timestamps_ms * 1_000_000).tolist()
        pairs = zip(map(_RECEIVED, ticks), written, strict=True)
        return np.array([w if r is None else r for r, w in pairs], np.int64)


def _defects(
    ticks: list[Tick], columns: dict[str, np.ndarray], limit: Int64, allowed: frozenset[str]
) -> list[tuple[Reason, Bool]]:
    """Return a mask per reason, first the one that counts where several hold."""
    price, bid, ask = columns["price"], columns["bid"], columns["ask"]
    time_ns = columns["ts_event_ns"]
    # Not "event > limit + 5 s": the limit is foreign and may be the largest number there is.
    ahead = np.maximum(time_ns, ANCIENT_NS) - MAX_AHEAD_NS > limit
    defects = [
        (Reason.BAD_PRICE, ~_usable(price) | _unusable(bid) | _unusable(ask)),
        (Reason.CROSSED_BOOK, bid > ask),
        (
            Reason.NEGATIVE_SIZE,
            (columns["size"] < 0) | (columns["bid_size"] < 0) | (columns["ask_size"] < 0),
        ),
        (Reason.ANCIENT_TIME, time_ns < ANCIENT_NS),
        (Reason.FUTURE_TIME, ahead | (time_ns > LATEST_NS)),
    ]
    if allowed:
        foreign = np.array([t.symbol not in allowed for t in ticks], np.bool_)
        defects.append((Reason.UNKNOWN_SYMBOL, foreign))
    return defects


def _usable(price: Float64) -> Bool:
    return (price > 0) & (price < np.inf)


def _unusable(quote: Float64) -> Bool:
    unusable: Bool = (quote <= 0) | (quote == np.inf)  # neither holds where there is no quote
    return unusable


def _explain(reason: Reason, tick: Tick, timestamp_ms: int) -> str:
    if reason is Reason.BAD_PRICE:
        prices = (("price", tick.price), ("bid", tick.bid), ("ask", tick.ask))
        name, value = _first(prices, lambda value: not 0 < value < float("inf"))
        return f"{name} is {value!r}, not a positive finite number"
    if reason is Reason.CROSSED_BOOK:
        return f"bid {tick.bid!r} is above ask {tick.ask!r}"
    if reason is Reason.NEGATIVE_SIZE:
        sizes = (("size", tick.size), ("bid_size", tick.bid_size), ("ask_size", tick.ask_size))
        name, value = _first(sizes, lambda value: value < 0)
        return f"{name} is {value!r}, a negative number"
    if reason is Reason.ANCIENT_TIME:
        return f"ts_event_ns is {tick.ts_event_ns}, before 2009-01-01"
    if reason is Reason.UNKNOWN_SYMBOL:
        return f"symbol is {tick.symbol!r}, which VOLTICK_ALLOWED_SYMBOLS does not list"
    if tick.ts_event_ns > LATEST_NS:
        return f"ts_event_ns is {tick.ts_event_ns}, too late for 64-bit arithmetic"
    if tick.ts_recv_ns is not None:
        return f"ts_event_ns is {tick.ts_event_ns}, over 5 s ahead of ts_recv_ns {tick.ts_recv_ns}"
    return (
        f"ts_event_ns is {tick.ts_event_ns}, over 5 s ahead of the message's timestamp"
        f" {timestamp_ms} ms"
    )


def _first(
    named: Iterable[tuple[str, float | None]], is_bad: Callable[[float], bool]
) -> tuple[str, float]:
    return next((name, value) for name, value in named if value is not None and is_bad(value))


def _symbol_ids(ticks: list[Tick], symbols: SymbolTable) -> Int32:
    by_venue = symbols.by_venue
    try:
        return np.array([by_venue[t.venue][t.symbol] for t in ticks], np.int32)
    except KeyError:
        return np.array([symbols.intern(t.venue, t.symbol) for t in ticks], np.int32)


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
