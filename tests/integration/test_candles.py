"""The running candles flow: every candle once, equal to the oracle's, also under kills."""

import pytest

from tests.proof.restarts import survive
from tests.support.candle_log import CandleLog


@pytest.mark.timeout(240)
def test_every_candle_comes_once_and_the_flow_goes_on_where_it_ended(broker, group, tmp_path):
    log = CandleLog(broker, group, tmp_path)
    log.write(0, 2000)
    with log.flow("first") as first:
        log.wait_done(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    log.write_unusable()
    log.write(2000, 4000)
    with log.flow("second") as second:
        log.wait_done(second)
        second.interrupt()
        assert second.wait_exit(30) == 0, second.tail()
    log.check()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_no_candle_is_missing_or_twice_after_kills(apache_kafka, group, tmp_path):
    # A small sample of `python -m tests.proof.candles`.
    log = CandleLog(apache_kafka, group, tmp_path)
    survive(log, kills=4, seed=7)
    log.check()
