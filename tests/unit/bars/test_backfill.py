"""The loop between a venue and the store, against servers that go wrong in every way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.bars.backfill import Result, backfill, final_span
from flows.bars.bar import Bar
from flows.bars.binance import BinanceBars
from flows.bars.coinbase import CoinbaseBars
from flows.bars.span import Span
from flows.bars.store import BarStore, Market
from flows.bars.venue import BarVenue
from flows.errors import ConfigurationError
from flows.feeds.retrying import Limits, RestClient
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from tests.support import bar_servers
from tests.support.bar_servers import TrueBar
from tests.support.rest_server import Reply, Request, RestServer

MINUTE = NS_PER_MINUTE
FIRST_NS = 20_480 * NS_PER_DAY
SPAN = Span(FIRST_NS, FIRST_NS + 2_500 * MINUTE)
LATER_NS = SPAN.to_ns + NS_PER_DAY
HOLES = (7, 8, 9, 700, 2_499)
BARS = bar_servers.market(FIRST_NS // NS_PER_MS, 2_500, without=HOLES)
VENUES = ("binance", "coinbase")
Disturb = Callable[[Request, list[Any]], list[Any]]


def market(venue: str) -> Market:
    return Market(venue, "BTC-USDT" if venue == "binance" else "BTC-USD", "1m")


@contextmanager
def venue_of(
    name: str, bars: Sequence[TrueBar] = BARS, disturb: Disturb | None = None
) -> Iterator[tuple[BarVenue, RestServer]]:
    known = bar_servers.Market({"BTCUSDT": list(bars), "BTC-USD": list(bars)})
    if disturb is not None:
        known.disturb = disturb
    answer = bar_servers.binance(known) if name == "binance" else bar_servers.coinbase(known)
    limits = Limits(attempts=3, first_wait_s=0.0)
    with RestServer(answer) as server:
        client = RestClient(name, server.url, limits, sleep=lambda _seconds: None)
        venue = BinanceBars(client) if name == "binance" else CoinbaseBars(client)
        with closing(venue):
            yield venue, server


def run(venue: BarVenue, store: BarStore, **options: Any) -> Result:
    return backfill(venue, market(venue.name), SPAN, store, lambda: LATER_NS, **options)


def stored(store: BarStore, name: str) -> list[Bar]:
    days = ("2026-01-27", "2026-01-28")
    return [bar for day in days for bar in store.read(market(name), day)]


def expected(name: str, bars: Sequence[TrueBar] = BARS) -> list[Bar]:
    more = name == "binance"
    return [
        Bar(
            ts_open_ns=bar.open_ms * NS_PER_MS,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            quote_volume=bar.quote_volume if more else None,
            trade_count=bar.trades if more else None,
            taker_buy_volume=bar.volume / 2 if more else None,
            taker_buy_quote_volume=bar.quote_volume / 2 if more else None,
        )
        for bar in bars
    ]


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path)


@pytest.mark.parametrize("name", VENUES)
def test_every_bar_is_stored_and_every_hole_is_named(store: BarStore, name: str) -> None:
    steps: list[tuple[int, int]] = []
    with venue_of(name) as (venue, _server):
        result = run(venue, store, step=lambda done, pages: steps.append((done, pages)))
    assert stored(store, name) == expected(name)
    assert (result.new, result.revised, result.total) == (2_495, 0, 2_495)
    assert (result.error, result.refused, result.running) == ("", 0, 0)
    assert [(hole.from_ns - FIRST_NS) // MINUTE for hole in result.holes] == [7, 700, 2_499]
    assert result.missing == len(HOLES)
    assert steps[0] == (0, result.pages)
    assert steps[-1] == (result.pages, result.pages)


@pytest.mark.parametrize("name", VENUES)
def test_a_second_run_asks_for_what_is_missing_alone_and_stores_nothing_twice(
    store: BarStore, name: str
) -> None:
    with venue_of(name) as (venue, server):
        first = run(venue, store)
        server.requests.clear()
        second = run(venue, store)
    assert (second.new, second.revised, second.total) == (0, 0, first.total)
    assert second.holes == first.holes
    assert 0 < len(server.requests) < first.pages
    assert stored(store, name) == expected(name)


def test_a_refresh_takes_over_what_the_venue_has_changed(store: BarStore) -> None:
    changed = [*BARS[:3], TrueBar(BARS[3].open_ms, 1.0, 2.0, 0.5, 1.0, 1.0, 1.0, 1), *BARS[4:]]
    with venue_of("binance") as (venue, _server):
        run(venue, store)
    with venue_of("binance", changed) as (venue, _server):
        assert run(venue, store).revised == 0
        assert run(venue, store, refresh=True).revised == 1
    assert stored(store, "binance") == expected("binance", changed)


DISTURBANCES: dict[str, Disturb] = {
    "out-of-order": lambda _request, rows: sorted(rows, key=lambda row: hash(str(row))),
    "duplicates": lambda _request, rows: [*rows, *rows[:50], *rows[-1:]],
    "overlapping-pages": lambda _request, rows: [*_shifted(rows, -1), *rows, *_shifted(rows, 1)],
    "rows-that-are-none": lambda _request, rows: [["?"], *rows, [], [None] * 12],
    "partial-copy-first": lambda _request, rows: [*map(_partial, rows[-1:]), *rows],
    "partial-copy-last": lambda _request, rows: [*rows, *map(_partial, rows[-1:])],
}


def _shifted(rows: list[Any], pages: int) -> list[Any]:
    """Return bars that were not asked for: of the page before or after."""
    if not rows:
        return []
    unit = 1_000 if rows[0][0] > 10**11 else 1
    step = 10**6 * 60 * unit * pages
    moved = []
    for row in rows[:3]:
        closed = [row[6] + step] if len(row) > 6 else []
        moved.append([row[0] + step, *row[1:6], *closed, *row[7:]])
    return moved


def _partial(row: list[Any]) -> list[Any]:
    """Return a bar as it was before it was over."""
    volume = float(row[5]) / 2
    return [*row[:5], str(volume) if isinstance(row[5], str) else volume, *row[6:]]


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_what_an_answer_holds_beside_its_bars_does_not_matter(
    store: BarStore, name: str, disturbance: str
) -> None:
    with venue_of(name, disturb=DISTURBANCES[disturbance]) as (venue, _server):
        result = run(venue, store)
    assert result.error == ""
    assert stored(store, name) == expected(name)


@pytest.mark.parametrize("name", VENUES)
def test_a_page_that_comes_twice_is_asked_for_again(store: BarStore, name: str) -> None:
    with venue_of(name) as (venue, server):
        honest = server.answer
        answers: list[Reply] = []

        def stale(request: Request) -> Reply:
            """Answer the second request as the first."""
            reply = honest(request)
            answers.append(reply)
            return answers[0] if len(answers) == 2 else reply

        server.answer = stale
        result = run(venue, store)
    assert result.error == ""
    assert stored(store, name) == expected(name)


@pytest.mark.parametrize("name", VENUES)
def test_a_server_that_answers_every_request_alike_is_an_error(store: BarStore, name: str) -> None:
    with venue_of(name) as (venue, server):
        honest = server.answer
        first: list[Reply] = []

        def stuck(request: Request) -> Reply:
            first.append(honest(request))
            return first[0]

        server.answer = stuck
        result = run(venue, store)
    assert "answers every request with the same bars" in result.error
    assert result.total > 0
    assert stored(store, name) == expected(name)[: result.total]


@pytest.mark.parametrize("name", VENUES)
def test_passing_errors_are_lived_through(store: BarStore, name: str) -> None:
    with venue_of(name) as (venue, server):
        honest = server.answer
        faults = iter([Reply(b"busy", 503), Reply(b"slow down", 429, {"Retry-After": "1"})] * 3)

        def flaky(request: Request) -> Reply:
            bad = next(faults, None) if len(server.requests) % 3 else None
            return honest(request) if bad is None else bad

        server.answer = flaky
        result = run(venue, store)
    assert result.error == ""
    assert stored(store, name) == expected(name)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"down", 503), "answers 503: down; given up after 3 attempts"),
        (Reply(b'{"message":"no"}', 403), "answers 403: no"),
        (Reply(b"{}"), "answers what is no list of bars"),
        (Reply(b"banned", 418, {"Retry-After": "9000"}), "a pause of 9000 s"),
    ],
    ids=["down", "forbidden", "foreign", "banned"],
)
@pytest.mark.parametrize("name", VENUES)
def test_what_came_before_an_error_is_stored_and_the_next_run_goes_on(
    store: BarStore, name: str, reply: Reply, words: str
) -> None:
    with venue_of(name) as (venue, server):
        honest = server.answer
        server.answer = lambda request: honest(request) if len(server.requests) < 3 else reply
        broken = run(venue, store)
        assert words in broken.error
        assert market(name).symbol in broken.error
        assert broken.pages == 2
        assert stored(store, name) == expected(name)[: broken.total]
        server.answer = honest
        whole = run(venue, store)
    assert whole.new + broken.new == 2_495
    assert stored(store, name) == expected(name)


@pytest.mark.parametrize("name", VENUES)
def test_a_symbol_without_any_bar_is_one_hole(store: BarStore, name: str) -> None:
    with venue_of(name, []) as (venue, _server):
        result = run(venue, store)
    assert (result.new, result.error, result.holes) == (0, "", [SPAN])


@pytest.mark.parametrize("name", VENUES)
def test_the_running_bar_is_never_stored(store: BarStore, name: str) -> None:
    now_ns = FIRST_NS + 100 * MINUTE + 30 * NS_PER_S
    with venue_of(name) as (venue, _server):
        span = final_span(venue, market(name), SPAN, now_ns)
        assert span.to_ns <= now_ns - venue.settle_s * NS_PER_S
        # As if this host's clock were ahead: the span reaches beyond what is over.
        result = backfill(venue, market(name), SPAN, store, lambda: now_ns)
    last = stored(store, name)[-1]
    assert last.ts_open_ns + MINUTE <= now_ns - venue.settle_s * NS_PER_S
    assert result.running > 0
    assert all(hole.to_ns <= now_ns for hole in result.holes)


def test_a_host_whose_clock_is_ahead_of_the_venues_stores_no_running_bar(store: BarStore) -> None:
    # The server's Date header tells the real time; its market runs ten minutes beyond that.
    import time

    minute_ms = time.time_ns() // NS_PER_MS // 60_000 * 60_000
    bars = bar_servers.market(minute_ms - 600_000, 20)
    span = Span((minute_ms - 600_000) * NS_PER_MS, (minute_ms + 600_000) * NS_PER_MS)
    ahead_ns = span.to_ns + NS_PER_DAY
    with venue_of("binance", bars) as (venue, _server):
        result = backfill(venue, market("binance"), span, store, lambda: ahead_ns)
    assert 0 < result.total <= 10
    assert result.running >= 9
    assert result.missing == 0


class Limited(BinanceBars):
    reach_days = {"1m": 30}  # noqa: RUF012  # as the class it takes the place of


def test_a_span_beyond_the_venues_reach_is_refused_and_its_very_end_is_cut() -> None:
    now_ns = FIRST_NS
    with RestServer(lambda _request: Reply()) as server:
        venue = Limited(RestClient("binance", server.url))
        far = Span(now_ns - 31 * NS_PER_DAY, now_ns)
        with pytest.raises(ConfigurationError, match="of the last 30 days alone"):
            final_span(venue, market("binance"), far, now_ns)
        near = Span(now_ns - 30 * NS_PER_DAY, now_ns)
        cut = final_span(venue, market("binance"), near, now_ns)
        venue.close()
    assert cut.from_ns == near.from_ns + 5 * MINUTE


def test_a_span_in_which_no_bar_is_over_is_refused() -> None:
    with RestServer(lambda _request: Reply()) as server:
        venue = BinanceBars(RestClient("binance", server.url))
        with pytest.raises(ConfigurationError, match="is over yet"):
            final_span(venue, market("binance"), Span(FIRST_NS, FIRST_NS + MINUTE), FIRST_NS + 1)
        venue.close()
