"""``python -m tests.proof.feeds.polling``: the polling feeds against REST servers that fail.

A venue trades all the while. Its server is seeded: it answers 429 with and without ``Retry-After``,
418, 5xx, nothing at all, half an answer, none of JSON, an answer from a while ago, trades out of
order or twice. Whatever it does, every trade from the first one seen to the last is a tick once, in
order, as it was made; only the first of a symbol is marked.
"""

import json
import logging
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import structlog
import typer

from flows.feeds.binance.rest import BinanceRest
from flows.feeds.coinbase_exchange.rest import ExchangeRest
from flows.feeds.http import HttpClient
from flows.feeds.processor import FrameProcessor, Messages
from flows.feeds.rest.feed import RestFeed
from schemas.ticks import Tick
from tests.support.polling import pause, until
from tests.support.rest_venues import Binance, Coinbase, Fault, RestVenue

FEEDS = ("coinbase-rest", "binance-rest")
_SYMBOLS = {"coinbase-rest": ("BTC-USD", "ETH-USD"), "binance-rest": ("BTC-USDT", "ETH-USDT")}
_READ_S = 0.3
_ROUNDS = 40
_MOST_TRADES = 30
_INTERVAL_S = 0.02
_FAULT_CHANCE = 0.25
_PATIENCE_S = 60.0


@dataclass
class Polled:
    """What became of a seed.

    Attributes
    ----------
    faults
        Requests that were not answered as they should be, by what happened.
    """

    feed: str
    seed: int
    ticks: list[Tick] = field(default_factory=list)
    dead: int = 0
    faults: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


class Unruly:
    """Decides by a seed what happens to each request; off once :attr:`calm` is set."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - repeatable by seed
        self._old: dict[str, list[Any]] = {}
        self.calm = False
        self.faults: list[str] = []

    def meddle(self, number: int, _path: str) -> Fault | None:
        """Return what happens to a request instead of an answer."""
        rng = self._rng
        if self.calm or number < 3 or rng.random() > _FAULT_CHANCE:
            return None
        kind = rng.choice(("429", "429 later", "418", "5xx", "drop", "stall", "half", "garbage"))
        self.faults.append(kind)
        if kind in ("429", "418"):
            return Fault(int(kind), {"Retry-After": "0"} if rng.random() < 0.5 else {})
        if kind == "429 later":
            return Fault(429, {"Retry-After": "0.05"})
        if kind == "5xx":
            return Fault(rng.choice((500, 502, 503, 504)), body="<html>later</html>")
        if kind == "drop":
            return Fault(drop=True)
        if kind == "stall":
            return Fault(stall_s=2 * _READ_S)
        if kind == "half":
            return Fault(cut=rng.randint(1, 20))
        return Fault(body=rng.choice(("{", "[1,2", "<html></html>", '{"x":1}', "", "null")))

    def spoil(self, path: str, query: dict[str, str], body: object) -> object:
        """Return an answer with its trades out of order, twice, or from a while ago."""
        if self.calm or not isinstance(body, list):
            return body
        rng = self._rng
        kind = rng.choice(("", "", "", "shuffled", "twice", "stale"))
        if kind == "shuffled":
            return rng.sample(body, len(body))
        if kind == "twice":
            return [each for trade in body for each in [trade] * rng.choice((1, 2))]
        if "after" in query or "fromId" in query:
            return body
        of_symbol = path + query.get("symbol", "")
        if kind == "stale":
            return self._old.get(of_symbol, body)
        self._old[of_symbol] = body
        return body


def run(feed_name: str, seed: int) -> Polled:
    """Let a feed poll an unruly venue, and check all that comes of it."""
    unruly = Unruly(seed)
    base: type[RestVenue] = Coinbase if feed_name == "coinbase-rest" else Binance

    class Venue(base):  # type: ignore[valid-type, misc]
        def answer(self, path: str, query: dict[str, str]) -> tuple[int, object]:
            status, body = super().answer(path, query)
            return status, unruly.spoil(path, query, body)

    outcome = Polled(feed_name, seed, faults=unruly.faults)
    rng = random.Random(seed + 1)  # noqa: S311 - repeatable by seed
    symbols = _SYMBOLS[feed_name]
    newest = {symbol: rng.randint(1_000, 10**9) for symbol in symbols}
    with Venue(unruly.meddle) as venue:
        for symbol in symbols:
            venue.trade(_name(feed_name, symbol), newest[symbol] - 4, 5)
        feed = _open(feed_name, symbols, venue.url)
        processor = FrameProcessor.of(feed)

        def take(messages: Messages) -> None:
            outcome.ticks += [msgspec.json.decode(value, type=Tick) for _, value in messages.ticks]
            outcome.dead += len(messages.dead)

        def all_there() -> bool:
            take(processor.process(feed.poll(1_000)))
            last = {tick.symbol: tick.trade_id for tick in outcome.ticks}
            return last == newest

        try:
            for _ in range(_ROUNDS):
                for symbol in symbols:
                    count = rng.choice((0, 1, rng.randint(1, _MOST_TRADES)))
                    if count:
                        venue.trade(_name(feed_name, symbol), newest[symbol] + 1, count)
                        newest[symbol] += count
                take(processor.process(feed.poll(1_000)))
                pause(_INTERVAL_S)
            unruly.calm = True
            until(all_there, "the newest trades", _PATIENCE_S)
        except TimeoutError as error:
            outcome.defects.append(str(error))
        finally:
            feed.close()
        take(processor.finish())
        outcome.defects += _check(outcome, venue, unruly)
    return outcome


def _open(feed_name: str, symbols: tuple[str, ...], url: str) -> RestFeed:
    dialect = ExchangeRest() if feed_name == "coinbase-rest" else BinanceRest()
    dialect.weight_per_s = dialect.burst = 1e6
    return RestFeed(
        dialect,
        symbols,
        url,
        interval_s=_INTERVAL_S,
        client=HttpClient(url, read_s=_READ_S),
        wait_s=lambda _failures, asked_s: 0.02 if asked_s is None else asked_s,
    )


def _name(feed_name: str, symbol: str) -> str:
    return symbol if feed_name == "coinbase-rest" else symbol.replace("-", "")


def _check(outcome: Polled, venue: RestVenue, unruly: Unruly) -> list[str]:
    """Return what is wrong."""
    defects = []
    for symbol in _SYMBOLS[outcome.feed]:
        ticks = [tick for tick in outcome.ticks if tick.symbol == symbol]
        ids = [tick.trade_id or 0 for tick in ticks]
        if ids != list(range(ids[0], ids[0] + len(ids))) if ids else True:
            defects.append(f"{symbol}: missing, twice or out of order among {ids[:1]}..{ids[-1:]}")
        if [tick.trade_id for tick in ticks if tick.gap] != ids[:1]:
            defects.append(f"{symbol}: other marks than on the first")
        for tick in ticks:
            made = venue.made(symbol, tick.trade_id or 0)
            if (tick.price, tick.size) != (float(made["price"]), _size(made)):
                defects.append(f"{symbol} {tick.trade_id}: another price or size")
    if outcome.dead > unruly.faults.count("garbage"):
        defects.append(f"{outcome.dead} dead letters")
    return defects


def _size(made: dict[str, Any]) -> float:
    return float(made["size"] if "size" in made else made["qty"])


EXAMPLE = "Example: python -m tests.proof.feeds.polling --seeds 50"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many for each feed.")] = 200,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time.")] = 4,
) -> None:
    """Let REST servers misbehave, and hold every polled tick against the trades that were made.

    Ends with one JSON line; exit code 1 where anything is missing, twice, different, out of order
    or marked falsely.
    """
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)
    begin = time.monotonic()
    line: dict[str, object] = {}
    failed = False
    for name in FEEDS:
        with ThreadPoolExecutor(jobs) as pool:
            poll: Callable[[int], Polled] = lambda seed, name=name: run(name, seed)  # type: ignore[misc]  # noqa: E731
            outcomes = list(pool.map(poll, range(first, first + seeds)))
        for outcome in outcomes:
            for defect in outcome.defects[:5]:
                sys.stderr.write(f"{name} seed {outcome.seed}: {defect}\n")
        wrong = sum(bool(outcome.defects) for outcome in outcomes)
        failed = failed or wrong > 0
        line[name] = {
            "seeds": seeds,
            "wrong": wrong,
            "ticks": sum(len(outcome.ticks) for outcome in outcomes),
            "faults": sum(len(outcome.faults) for outcome in outcomes),
            "dead_letters": sum(outcome.dead for outcome in outcomes),
        }
    seconds = round(time.monotonic() - begin, 1)
    sys.stdout.write(json.dumps({"failed": failed, "seconds": seconds, **line}) + "\n")
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    app()
