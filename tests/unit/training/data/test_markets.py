"""The pair that a file's name holds."""

from pathlib import PurePath

import pytest

from training.data.markets import market_in

NAMED = {
    "BTCUSDT-1m-2024-12.csv": "BTCUSDT",
    "1000SHIBUSDT-1m-2024-12.csv": "1000SHIBUSDT",
    "1INCHUSDT-1m.csv": "1INCHUSDT",
    "DUSDT-1m.csv": "DUSDT",
    "SHIBDOGE-1m.csv": "SHIBDOGE",
    "BTTTRX-1h.csv": "BTTTRX",
    "BTCUSD1-1m.csv": "BTCUSD1",
    "ETHEURI-1m.csv": "ETHEURI",
    "USDTARS-1m.csv": "USDTARS",
    "BTCMXN.csv": "BTCMXN",
    "Binance_BTCFDUSD_1h.csv": "BTCFDUSD",
    "COINBASE_BTCUSD, 60.csv": "BTCUSD",
    "Kraken_ETH-USD_1h.csv": "ETHUSD",
}
UNNAMED = ["data.csv", "AUGUST.csv", "1MBARS.csv", "trades_2024.csv", "BTC.csv"]


@pytest.mark.parametrize("name", NAMED)
def test_a_pair_in_the_name_is_found(name: str) -> None:
    assert market_in(PurePath(name)) == NAMED[name]


@pytest.mark.parametrize("name", UNNAMED)
def test_other_words_are_no_pair(name: str) -> None:
    assert market_in(PurePath(name)) is None
