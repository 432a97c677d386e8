"""Names of markets, out of symbols and of file names."""

import re
from pathlib import PurePath

from flows.feeds.binance.pairs import known_pair

QUOTES = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BRL", "AUD"),
    *("CAD", "CHF", "KRW", "DAI", "BTC", "XBT", "ETH", "BNB", "PERP"),
)
_JOINED = re.compile(rf"([A-Z0-9]*[A-Z][A-Z0-9]*)({'|'.join(QUOTES)})(PERP|SWAP)?")
_BASE = re.compile(r"[A-Z0-9]{2,10}")


def market_of(symbol: str) -> str:
    """Return a symbol without separators, in capitals: ``BTC/USDT`` and ``btcusdt`` are one."""
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())


def market_in(path: PurePath) -> str | None:
    """Return the pair that a file's name holds, or else one of its folders; None if none does.

    ``BTCUSDT-1m-2024-12``, ``Kraken_ETH-USD_1h`` and ``COINBASE_BTCUSD, 60`` name pairs.
    """
    for part in reversed(path.parts):
        found = _pair(part)
        if found is not None:
            return found
    return None


def _pair(name: str) -> str | None:
    tokens = re.split(r"[^A-Z0-9]+", name.upper())
    found = None
    for at, token in enumerate(tokens):
        joined = _JOINED.fullmatch(token)
        if (joined is not None and len(joined[1]) >= 2) or known_pair(token) is not None:
            found = token
        elif token in QUOTES and at and _BASE.fullmatch(tokens[at - 1]):
            # Of "Kraken_BTC_USD" the last two: an exchange may stand before a pair.
            found = tokens[at - 1] + token
    return found
