import msgspec
import numpy as np
import pytest

from flows.errors import FeedError
from flows.feeds.processor import FrameProcessor
from flows.feeds.simulator.feed import SimulatedFeed
from flows.feeds.simulator.market import Market, TickColumns, simulate_history, symbol_names
from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.unit.feeds.support import decoded

START = 1_700_000_000 * NS_PER_S


def run(seconds: int, *, symbols: int = 2, rate_hz: float = 50.0, seed: int = 1) -> TickColumns:
    market = Market(symbol_names(symbols), rate_hz=rate_hz, seed=seed, start_ns=START)
    parts = [market.advance(60) for _ in range(seconds // 60)]
    return TickColumns(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in TickColumns.__slots__
        }
    )


def second_returns(columns: TickColumns, symbol: int) -> np.ndarray:
    """Log returns of the mid price on a grid of one second."""
    mine = columns.symbol == symbol
    times, mid = columns.ts_event_ns[mine], ((columns.bid + columns.ask) / 2)[mine]
    grid = np.arange(times[0] + NS_PER_S, times[-1], NS_PER_S)
    return np.diff(np.log(mid[np.searchsorted(times, grid, side="right") - 1]))


def autocorrelation(values: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_returns_are_fat_tailed_clustered_and_without_direction(seed: int) -> None:
    columns = run(4 * 3600, seed=seed)
    for symbol in (0, 1):
        returns = second_returns(columns, symbol)
        centred = returns - returns.mean()
        excess_kurtosis = float(np.mean(centred**4) / np.mean(centred**2) ** 2 - 3.0)
        assert excess_kurtosis > 3.0
        assert autocorrelation(np.abs(returns), 60) > 0.1
        for lag in (1, 60):
            assert abs(autocorrelation(returns, lag)) < 0.06


def test_arrivals_excite_each_other() -> None:
    columns = run(3600, symbols=1, rate_hz=5.0)
    gaps = np.diff(columns.ts_event_ns) / NS_PER_S
    assert gaps.std() > 1.15 * gaps.mean()  # 1.0 for a Poisson process


def test_the_rate_is_roughly_what_was_asked_for() -> None:
    for rate_hz in (2.0, 200.0):
        assert 0.7 < len(run(3600, rate_hz=rate_hz)) / (3600 * rate_hz) < 1.4


def test_the_next_minutes_volatility_can_partly_be_foreseen() -> None:
    returns = second_returns(run(4 * 3600), 0)
    minutes = np.log(np.sqrt((returns[: len(returns) // 60 * 60].reshape(-1, 60) ** 2).sum(1)))
    assert 0.5 < np.corrcoef(minutes[:-1], minutes[1:])[0, 1] < 0.95


@pytest.mark.parametrize("symbols", [1, 2, 500])
def test_every_tick_is_plausible(symbols: int) -> None:
    columns = run(120, symbols=symbols, rate_hz=500.0)
    assert np.all(np.diff(columns.ts_event_ns) >= 0)
    assert columns.ts_event_ns[0] >= START
    assert columns.ts_event_ns[-1] < START + 120 * NS_PER_S
    assert np.all((columns.bid > 0) & (columns.bid < columns.ask))
    assert np.all(np.where(columns.side > 0, columns.ask, columns.bid) == columns.price)
    for sizes in (columns.size, columns.bid_size, columns.ask_size):
        assert np.all(np.isfinite(sizes) & (sizes > 0))
    assert set(columns.symbol.tolist()) == set(range(symbols))
    for symbol in range(symbols):
        ids = columns.trade_id[columns.symbol == symbol]
        first = 1 + START // 1_000
        assert ids.tolist() == list(range(first, first + len(ids)))
    widths = columns.ask - columns.bid
    assert len(set(np.round(widths[columns.symbol == 0], 6))) > 5


def test_the_same_seed_gives_the_same_market_and_another_one_another() -> None:
    first, second, other = run(60), run(60), run(60, seed=2)
    assert all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in TickColumns.__slots__
    )
    assert not np.array_equal(first.price, other.price)


def test_symbols_start_with_the_well_known_ones() -> None:
    assert symbol_names(1) == ("BTC-USD",)
    assert symbol_names(4) == ("BTC-USD", "ETH-USD", "SIM001-USD", "SIM002-USD")
    assert len(set(symbol_names(500))) == 500
    for count in (0, 501):
        with pytest.raises(FeedError, match="1 to 500 symbols"):
            symbol_names(count)


@pytest.mark.parametrize(
    ("symbols", "rate_hz"),
    [((), 1.0), (("A", "A"), 1.0), ((*symbol_names(500), "X"), 1.0), (("A",), 0.0),
     (("A",), float("nan"))],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(symbols: tuple[str, ...], rate_hz: float) -> None:
    with pytest.raises(FeedError, match="the simulator"):
        Market(symbols, rate_hz=rate_hz, seed=0, start_ns=0)


def test_history_ends_where_it_should_and_covers_its_duration() -> None:
    made = [
        tick
        for part in simulate_history(
            ("BTC-USD",), duration_s=700, seed=3, end_ns=START, rate_hz=10.0
        )
        for tick in part
    ]
    assert START - 700 * NS_PER_S <= made[0].ts_event_ns < START - 690 * NS_PER_S
    assert START - 10 * NS_PER_S < made[-1].ts_event_ns < START
    assert all(isinstance(tick, Tick) and tick.venue == "simulator" for tick in made[:10])


class Clock:
    """Monotonic nanoseconds that a test moves."""

    def __init__(self) -> None:
        self.now = 5 * NS_PER_S

    def __call__(self) -> int:
        return self.now


def feed(clock: Clock, speed: float | None = 1.0, duration_s: float | None = None) -> SimulatedFeed:
    return SimulatedFeed(
        ("BTC-USD", "ETH-USD"),
        rate_hz=50.0,
        seed=1,
        start_ns=START,
        speed=speed,
        duration_s=duration_s,
        clock_ns=clock,
    )


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_simulated_ticks_come_when_their_time_has_come(speed: float) -> None:
    clock = Clock()
    simulated = feed(clock, speed)
    ingest = FrameProcessor(simulated.parser())
    made: list[Tick] = []
    for _ in range(100):
        clock.now += NS_PER_S // 2
        while frames := simulated.poll(7):
            assert len(frames) <= 7
            made += decoded(ingest.process(frames))
        elapsed = int((clock.now - 5 * NS_PER_S - NS_PER_S // 2) * speed)
        assert all(tick.ts_event_ns <= START + elapsed for tick in made[-10:])
    market = Market(("BTC-USD", "ETH-USD"), rate_hz=50.0, seed=1, start_ns=START)
    expected = [t for _ in range(3) for t in market.ticks(market.advance(market.chunk_s))]
    assert made == expected[: len(made)]
    assert START + elapsed - made[-1].ts_event_ns < 5 * NS_PER_S
    assert ingest.counts.gaps == ingest.counts.dead_letters == 0


def test_at_full_speed_simulated_ticks_never_wait() -> None:
    simulated = feed(Clock(), None)
    assert all(len(simulated.poll(2_000)) > 0 for _ in range(50))


def test_duration_ends_the_simulation() -> None:
    clock = Clock()
    simulated = feed(clock, duration_s=2.0)
    simulated.poll(10)
    clock.now += 2 * NS_PER_S
    assert simulated.poll(10) == []
    assert simulated.finished
    assert simulated.simulated


def test_history_comes_at_once_and_live_ticks_follow_it_without_a_seam() -> None:
    clock = Clock()
    opened = START + 700 * NS_PER_S + 123
    simulated = SimulatedFeed(
        ("BTC-USD", "ETH-USD"),
        rate_hz=50.0,
        seed=1,
        start_ns=START,
        opened_ns=opened,
        clock_ns=clock,
    )
    ingest = FrameProcessor.of(simulated)
    parts: list[list[Tick]] = []
    while frames := simulated.poll(8_192):
        parts.append(decoded(ingest.process(frames)))
    assert len(parts[0]) == 100  # the first score does not wait for a whole batch
    past = [tick for part in parts for tick in part]
    assert opened - NS_PER_S < past[-1].ts_event_ns < opened
    assert {tick.ts_recv_ns for tick in past} == {None}  # nobody received it

    live: list[Tick] = []
    for _ in range(20):
        clock.now += NS_PER_S // 4
        live += decoded(ingest.process(simulated.poll(8_192)))
    assert all(tick.ts_recv_ns == tick.ts_event_ns for tick in live)
    assert opened <= live[0].ts_event_ns < opened + NS_PER_S
    assert opened + 4 * NS_PER_S < live[-1].ts_event_ns <= opened + 5 * NS_PER_S

    # One market, whether it is asked for at once or in parts.
    market = Market(("BTC-USD", "ETH-USD"), rate_hz=50.0, seed=1, start_ns=START)
    expected = [t for _ in range(3) for t in market.ticks(market.advance(market.chunk_s))]
    made = [msgspec.structs.replace(tick, ts_recv_ns=tick.ts_event_ns) for tick in past + live]
    # A symbol's first trade waits for those that another ingest may still be writing.
    for symbol in ("BTC-USD", "ETH-USD"):
        whole = [tick for tick in expected if tick.symbol == symbol]
        found = [msgspec.structs.replace(t, gap=False) for t in made if t.symbol == symbol]
        assert found == whole[: len(found)]
    assert sum(tick.gap for tick in made) == 2  # each symbol's first: what came before was missed
    assert ingest.clock_offset_s is None or abs(ingest.clock_offset_s) < 1


def test_a_history_made_elsewhere_is_the_feeds_own() -> None:
    symbols = ("BTC-USD", "ETH-USD")
    clock = Clock()
    opened = START + 1_000 * NS_PER_S + 7  # in the middle of what the market makes at a time
    simulated = SimulatedFeed(
        symbols, rate_hz=30.0, seed=5, start_ns=opened - 900 * NS_PER_S, opened_ns=opened,
        clock_ns=clock,
    )  # fmt: skip
    ingest = FrameProcessor(simulated.parser())
    sent: list[Tick] = []
    while frames := simulated.poll(8_192):
        sent += decoded(ingest.process(frames))
    made = [
        tick
        for part in simulate_history(symbols, duration_s=900, seed=5, end_ns=opened, rate_hz=30.0)
        for tick in part
    ]
    assert made == sent
