"""Candles close once, by the log alone, and hold what the definition says."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows.stages.candle_builder import (
    GRACE_NS,
    IDLE_MS,
    INTERVALS_S,
    CandleBuilder,
    CandleTick,
    Closed,
)
from tests.oracle import candles as oracle

S = 10**9
START_NS = 1_700_000_000 * S
BTC = ("binance", "BTC-USDT")
ETH = ("binance", "ETH-USDT")


def tick(
    offset,
    at_s,
    price=100.0,
    size=1.0,
    log_s=None,
    series=BTC,
    gap=False,
    restart=False,
    newest_s=None,
):
    log_ms = int(1000 * (at_s if log_s is None else log_s))
    return CandleTick(
        series=series,
        offset=offset,
        log_ms=log_ms,
        ts_event_ns=START_NS + int(at_s * S),
        newest_ns=START_NS + int((at_s if newest_s is None else newest_s) * S),
        price=price,
        size=size,
        gap=gap,
        restart=restart,
    )


def plain(closed: list[Closed]):
    return [
        (
            *(one.offset, (one.candle.venue, one.candle.symbol), one.candle.interval_s),
            *(one.candle.ts_open_ns, one.candle.open, one.candle.high, one.candle.low),
            *(one.candle.close, one.candle.tick_count, one.candle.volume, one.candle.vwap),
            one.candle.gap,
        )
        for one in closed
    ]


def of_a_second(closed: list[Closed]) -> list[Closed]:
    return [one for one in closed if one.candle.interval_s == 1]


def test_a_candle_holds_its_ticks_and_closes_after_the_grace():
    builder = CandleBuilder(3)
    log = [tick(0, 0.1, 10.0, 2.0), tick(1, 0.5, 12.0, None, gap=True), tick(2, 0.9, 9.0, 1.0)]
    assert builder.update([*log, tick(3, 5.9)], 0) == []
    [closed] = of_a_second(builder.update([tick(4, 6.0)], 0))
    candle = closed.candle
    assert closed.offset == candle.closed_offset == 4
    assert (candle.partition, candle.ts_open_ns, candle.tick_count) == (3, START_NS, 3)
    assert (candle.open, candle.high, candle.low, candle.close) == (10.0, 12.0, 9.0, 9.0)
    assert (candle.volume, candle.vwap, candle.gap) == (3.0, (20.0 + 9.0) / 3.0, True)


def test_a_late_tick_counts_while_its_candle_is_open_and_not_afterwards():
    builder = CandleBuilder(0)
    builder.update([tick(0, 0.1), tick(1, 5.5), tick(2, 0.2, 50.0, newest_s=5.5)], 0)
    [closed] = of_a_second(builder.update([tick(3, 6.0)], 0))
    assert (closed.candle.tick_count, closed.candle.high) == (2, 100.0)
    assert builder.late == 0
    assert builder.update([tick(4, 0.3, newest_s=6.0)], 0) == []
    assert builder.late == 1


def test_a_candle_without_sizes_has_no_volume():
    builder = CandleBuilder(0)
    [closed] = of_a_second(builder.update([tick(0, 0.1, size=None), tick(1, 6.0)], 0))
    assert (closed.candle.volume, closed.candle.vwap) == (None, None)


def test_a_volume_of_zero_has_no_mean_price():
    builder = CandleBuilder(0)
    [closed] = of_a_second(builder.update([tick(0, 0.1, size=0.0), tick(1, 6.0)], 0))
    assert (closed.candle.volume, closed.candle.vwap) == (0.0, None)


def test_a_silent_symbol_is_closed_by_another_ones_message():
    builder = CandleBuilder(0)
    idle_s = IDLE_MS / 1000
    assert builder.update([tick(0, 0.1, log_s=0.0)], 0) == []
    assert builder.update([tick(1, idle_s - 0.1, log_s=idle_s - 0.1, series=ETH)], 0) == []
    closed = builder.update([tick(2, idle_s, log_s=idle_s, series=ETH)], 0)
    assert {one.candle.symbol for one in closed} == {"BTC-USDT"}
    assert sorted(one.candle.interval_s for one in closed) == list(INTERVALS_S)
    late = builder.update([tick(3, 0.2, log_s=idle_s, series=BTC, newest_s=0.2)], 0)
    assert late == []
    assert builder.late == 1


def test_a_restart_closes_what_is_open():
    builder = CandleBuilder(0)
    closed = builder.update([tick(0, 7200.0), tick(1, 0.0, restart=True)], 0)
    assert [one.candle.ts_open_ns for one in closed] == [
        START_NS + 7200 * S,
        (START_NS + 7200 * S) // (60 * S) * 60 * S,
    ]
    assert builder.late == 0


series_names = st.sampled_from([BTC, ETH, ("coinbase", "BTC-USD")])
steps_s = st.sampled_from([0.0, 0.05, 0.4, 1.0, 3.0, 6.0, 64.9, 65.0, 130.0])


@st.composite
def logs(draw):
    """Ticks in offset order whose event times wander; restarts where the features would say so."""
    log: list[CandleTick] = []
    now_s, log_s, offset = 0.0, 0.0, draw(st.integers(0, 5))
    newest_ns: dict[tuple[str, str], int] = {}
    for _ in range(draw(st.integers(1, 60))):
        now_s += draw(steps_s)
        log_s = max(0.0, log_s + draw(st.sampled_from([0.0, 0.1, 1.0, 66.0, -2.0])))
        name = draw(series_names)
        ts_event_ns = START_NS + int((now_s - draw(steps_s)) * S)
        restart = name not in newest_ns or draw(st.integers(0, 15)) == 0
        duplicate = not restart and draw(st.integers(0, 9)) == 0
        if not duplicate:
            newest_ns[name] = ts_event_ns if restart else max(newest_ns[name], ts_event_ns)
        log.append(
            CandleTick(
                series=name,
                offset=offset,
                log_ms=draw(st.sampled_from([int(log_s * 1000), int(log_s * 1000), -1])),
                ts_event_ns=ts_event_ns,
                newest_ns=newest_ns[name],
                price=draw(st.sampled_from([1.0, 1.5, 2.0])),
                size=draw(st.sampled_from([None, 0.0, 0.5, 2.0])),
                gap=draw(st.booleans()),
                restart=restart,
                duplicate=duplicate,
            )
        )
        offset += draw(st.integers(1, 3))
    return log


@given(logs())
def test_candles_are_what_the_definition_says(log):
    builder = CandleBuilder(0)
    found = plain(builder.update(log, 0))
    expected, late = oracle.candles(log, GRACE_NS // S, IDLE_MS, INTERVALS_S)
    assert found == expected
    assert builder.late == late


@given(logs(), st.integers(1, 3))
def test_candles_of_more_symbols_than_are_remembered_close_as_the_definition_says(log, most):
    log = as_features_say(log, most)
    builder = CandleBuilder(0, most)
    expected, late = oracle.candles(log, GRACE_NS // S, IDLE_MS, INTERVALS_S, most)
    assert plain(builder.update(log, 0)) == expected
    assert builder.late == late


def as_features_say(log: list[CandleTick], most: int) -> list[CandleTick]:
    """Let a symbol that was forgotten for others restart with its next tick."""
    recent: list[tuple[str, str]] = []
    newest_ns: dict[tuple[str, str], int] = {}
    found = []
    for one in log:
        restart = one.restart or one.series not in recent
        recent = [*(name for name in recent if name != one.series), one.series][-most:]
        duplicate = one.duplicate and not restart
        if restart:
            newest_ns[one.series] = one.ts_event_ns
        elif not duplicate:
            newest_ns[one.series] = max(newest_ns[one.series], one.ts_event_ns)
        found.append(
            one._replace(restart=restart, duplicate=duplicate, newest_ns=newest_ns[one.series])
        )
    return found


def test_symbols_without_end_hold_no_memory():
    builder = CandleBuilder(0, 10)
    closed = []
    for number in range(5000):
        name = ("v", f"S{number}")
        closed += builder.update([tick(number, 0.0, series=name, log_s=0.0, restart=True)], 0)
    assert len(of_a_second(closed)) == 5000 - 10
    assert len(builder._series) == 10
    assert len(builder._deadlines) < 2000


@given(logs(), st.data())
def test_batch_cuts_change_nothing(log, data):
    whole = CandleBuilder(0).update(log, 0)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(log)), max_size=5)))
    builder = CandleBuilder(0)
    found = []
    for first, end in pairwise([0, *cuts, len(log)]):
        found += builder.update(log[first:end], 0)
    assert found == whole


@given(logs())
def test_no_candle_is_written_twice_between_restarts(log):
    lives: dict[tuple[str, str], int] = {}
    written = set()
    builder = CandleBuilder(0)
    for one in log:
        before = lives.get(one.series, 0)
        closed = builder.update([one], 0)
        if one.restart:
            lives[one.series] = before + 1
        for each in closed:
            candle = each.candle
            name = (candle.venue, candle.symbol)
            life = before if name == one.series else lives.get(name, 0)
            key = (name, life, candle.interval_s, candle.ts_open_ns)
            assert key not in written
            written.add(key)
