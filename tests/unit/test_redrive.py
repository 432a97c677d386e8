"""Which mended ticks would make the flow forget what it knows of their symbol."""

import pytest

from flows.errors import ConfigurationError
from flows.numeric.time import NS_PER_S
from flows.redrive import ExportedDeadLetter, newest_times, refuse_restarts
from schemas.ticks import Tick

START_NS = 1_700_000_000 * NS_PER_S
LETTER = ExportedDeadLetter("0-0", "{}")


def tick(seconds: float, symbol: str = "BTC-USD") -> Tick:
    at_ns = START_NS + int(seconds * NS_PER_S)
    return Tick(symbol=symbol, venue="simulator", ts_event_ns=at_ns, price=1.0)


def test_a_tick_may_be_as_late_as_any_other_and_no_later() -> None:
    newest = newest_times([tick(100), tick(90), tick(0, "ETH-USD")])
    refuse_restarts([(LETTER, tick(40)), (LETTER, tick(-50, "ETH-USD"))], newest)
    with pytest.raises(ConfigurationError, match="61 s older than the newest of BTC-USD"):
        refuse_restarts([(LETTER, tick(39))], newest)


def test_what_a_wrong_clock_said_before_it_was_put_right_does_not_count() -> None:
    newest = newest_times([tick(0), tick(3_600), tick(1), tick(2)])
    refuse_restarts([(LETTER, tick(1.5))], newest)
    assert list(newest.values()) == [tick(2).ts_event_ns]
