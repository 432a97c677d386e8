"""Candles by their definition: each message looks at every candle there is, and each candle keeps
its ticks. Shares no code with the flow."""

from dataclasses import dataclass, field

SECOND_NS = 10**9


@dataclass
class _Series:
    newest_ns: int
    last_log_ms: int
    ticks: dict[tuple[int, int], list] = field(default_factory=dict)
    borders: dict[int, int] = field(default_factory=dict)


def candles(
    log, grace_s: int, idle_ms: int, intervals_s: tuple[int, ...], max_symbols: int = 10_000
):
    """Return the candles in the order written, and how many ticks were late for one of theirs.

    ``log`` is a list of ``flows.stages.candle_builder.CandleTick``. A candle is (closing offset,
    series, interval, open time, open, high, low, close, count, volume, vwap, gap).
    """
    written, late = [], 0
    known: dict[tuple[str, str], _Series] = {}
    recent: list[tuple[str, str]] = []
    for message in log:
        recent = [*(name for name in recent if name != message.series), message.series]
        if message.duplicate:
            continue
        for name in sorted(known):
            one = known[name]
            known_times = min(message.log_ms, one.last_log_ms) >= 0
            if known_times and message.log_ms - one.last_log_ms >= idle_ms and one.ticks:
                written += _close(name, one, lambda _end: True, message.offset)
                for interval_s in intervals_s:
                    interval_ns = interval_s * SECOND_NS
                    end_ns = one.newest_ns // interval_ns * interval_ns + interval_ns
                    one.borders[interval_s] = max(one.borders.get(interval_s, end_ns), end_ns)
        for name in recent[:-max_symbols]:
            written += _close(name, known.pop(name), lambda _end: True, message.offset)
        recent = recent[-max_symbols:]
        one = known.get(message.series)
        if one is not None and message.restart:
            written += _close(message.series, one, lambda _end: True, message.offset)
        if one is None or message.restart:
            one = known[message.series] = _Series(message.newest_ns, message.log_ms)
        one.newest_ns = message.newest_ns
        one.last_log_ms = message.log_ms
        missed = False
        for interval_s in intervals_s:
            interval_ns = interval_s * SECOND_NS
            open_ns = message.ts_event_ns // interval_ns * interval_ns
            if open_ns + interval_ns <= one.borders.get(interval_s, -(2**80)):
                missed = True
            else:
                one.ticks.setdefault((interval_s, open_ns), []).append(message)
        late += missed
        limit_ns = one.newest_ns - grace_s * SECOND_NS
        written += _close(
            message.series, one, lambda end, limit=limit_ns: end <= limit, message.offset
        )
        for interval_s in intervals_s:
            whole = limit_ns // (interval_s * SECOND_NS) * interval_s * SECOND_NS
            one.borders[interval_s] = max(one.borders.get(interval_s, whole), whole)
    return written, late


def _close(name, one, is_due, offset):
    found = []
    for interval_s, open_ns in sorted(one.ticks):
        end_ns = open_ns + interval_s * SECOND_NS
        if not is_due(end_ns):
            continue
        members = one.ticks.pop((interval_s, open_ns))
        one.borders[interval_s] = max(one.borders.get(interval_s, end_ns), end_ns)
        prices = [tick.price for tick in members]
        sized = [tick for tick in members if tick.size is not None]
        volume = sum(tick.size for tick in sized) if sized else None
        notional = sum(tick.price * tick.size for tick in sized)
        found.append(
            (
                *(offset, name, interval_s, open_ns),
                *(prices[0], max(prices), min(prices), prices[-1], len(prices)),
                *(volume, notional / volume if volume else None),
                any(tick.gap for tick in members),
            )
        )
    return found
