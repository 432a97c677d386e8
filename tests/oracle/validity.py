"""Which messages are ticks, and why the others are not."""

import json
import math

import msgspec

from schemas.dead_letters import Reason
from schemas.ticks import Tick
from tests.oracle.time import NS_PER_DAY, NS_PER_MINUTE

LARGEST_BYTES = 64 * 1024
AHEAD_LIMIT_NS = 5 * NS_PER_MINUTE
BEYOND_LOG_LIMIT_NS = NS_PER_DAY
EARLIEST_NS = 1_230_768_000_000_000_000  # 2009-01-01
LATEST_NS = 9_213_000_000_000_000_000  # four months before the end of 64-bit nanoseconds
_INT64 = range(-(2**63), 2**63)
_REQUIRED = ("symbol", "venue", "ts_event_ns", "price")

Reasons = frozenset[Reason]


def validate(
    value: bytes, timestamp_ms: int, allowed: frozenset[str] = frozenset()
) -> Tick | Reasons:
    """Return the tick, or every reason that is true of the message: any one of them will do.

    Parameters
    ----------
    timestamp_ms
        The message's Kafka timestamp, -1 where it has none.
    allowed
        Symbols that are let in; all, if empty.
    """
    if len(value) > LARGEST_BYTES:
        return frozenset({Reason.TOO_LARGE})
    try:
        tick = msgspec.json.decode(value, type=Tick)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _why_not_a_tick(value)
    reasons = set(_number_reasons(tick))
    reasons |= _time_reasons(tick, timestamp_ms)
    if allowed and tick.symbol not in allowed:
        reasons.add(Reason.UNKNOWN_SYMBOL)
    return frozenset(reasons) if reasons else tick


def _why_not_a_tick(value: bytes) -> Reasons:
    pairs: list[tuple[str, object]] = []

    def collect(members: list[tuple[str, object]]) -> dict[str, object]:
        pairs.extend(members)  # also those that a later one of the same name replaces
        return dict(members)

    try:
        found = json.loads(value, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return frozenset({Reason.NOT_JSON})
    if not isinstance(found, dict):
        return frozenset({Reason.WRONG_TYPE, Reason.NOT_JSON})
    reasons = {Reason.WRONG_TYPE}
    if any(name not in found for name in _REQUIRED):
        reasons.add(Reason.MISSING_FIELD)
    # Python's parser takes what the standard does not: NaN, Infinity, lone surrogates.
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        reasons.add(Reason.NOT_JSON)
    if any(name in {"price", "bid", "ask"} and _is_out_of_range(each) for name, each in pairs):
        reasons.add(Reason.BAD_PRICE)
    return frozenset(reasons)


def _is_out_of_range(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    try:
        return not math.isfinite(number)
    except OverflowError:  # an integer that no float can hold
        return True


def _number_reasons(tick: Tick) -> set[Reason]:
    reasons = set()
    for price in (tick.price, tick.bid, tick.ask):
        if price is not None and not (math.isfinite(price) and price > 0):
            reasons.add(Reason.BAD_PRICE)
    for size in (tick.size, tick.bid_size, tick.ask_size):
        if size is not None and size < 0:
            reasons.add(Reason.NEGATIVE_SIZE)
        if size is not None and not math.isfinite(size):
            reasons |= {Reason.NEGATIVE_SIZE, Reason.WRONG_TYPE}
    if tick.bid is not None and tick.ask is not None and tick.bid > tick.ask:
        reasons.add(Reason.CROSSED_BOOK)
    for number in (tick.ts_event_ns, tick.ts_recv_ns, tick.trade_id):
        if number is not None and number not in _INT64:
            reasons.add(Reason.WRONG_TYPE)
    return reasons


def _time_reasons(tick: Tick, timestamp_ms: int) -> set[Reason]:
    reasons = set()
    if tick.ts_event_ns < EARLIEST_NS:
        reasons.add(Reason.ANCIENT_TIME)
    if tick.ts_event_ns > LATEST_NS:
        reasons.add(Reason.FUTURE_TIME)
    # A clock that shows a time before 2009 was never set: it says nothing.
    received = tick.ts_recv_ns
    if received is not None and received < EARLIEST_NS:
        received = None
    written: int | None = timestamp_ms * 1_000_000
    if written is not None and written < EARLIEST_NS:
        written = None
    clocks = [clock for clock in (received, written) if clock is not None]
    if clocks and tick.ts_event_ns > max(clocks) + AHEAD_LIMIT_NS:
        reasons.add(Reason.FUTURE_TIME)
    if written is not None and tick.ts_event_ns > written + BEYOND_LOG_LIMIT_NS:
        reasons.add(Reason.FUTURE_TIME)
    return reasons
