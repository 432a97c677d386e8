"""Small recordings of our own, in a venue's shape."""

import gzip
import json
from pathlib import Path

from flows.numeric.time import NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S
RECEIVED_NS = START_NS + 6_000 * NS_PER_S  # after every event of that day


def exchange_ticker(number: int, symbol: str = "BTC-USD", **changes: object) -> str:
    """Return a Coinbase Exchange ticker message, one a second."""
    price = 30_000 + (number * 7919 % 101) / 4
    second = START_NS // NS_PER_S + number
    minutes, seconds = divmod(second % 86_400, 60)
    hours, minutes = divmod(minutes, 60)
    message = {
        "type": "ticker",
        "sequence": 1_000 + 3 * number,
        "product_id": symbol,
        "price": f"{price:.2f}",
        "open_24h": "29000.00",
        "volume_24h": "1000.0",
        "low_24h": "28000.00",
        "high_24h": "31000.00",
        "volume_30d": "30000.0",
        "best_bid": f"{price - 0.5:.2f}",
        "best_bid_size": f"{0.1 + number % 7:.4f}",
        "best_ask": f"{price + 0.5:.2f}",
        "best_ask_size": f"{0.2 + number % 5:.4f}",
        "side": "buy" if number % 3 else "sell",
        # START_NS is 2023-11-14T22:13:20Z; recordings of ours stay within that day.
        "time": f"2023-11-14T{hours:02d}:{minutes:02d}:{seconds:02d}.250000Z",
        "trade_id": 500 + number,
        "last_size": f"{0.01 * (1 + number % 9):.4f}",
    }
    return json.dumps({**message, **changes})


def write_capture(
    path: Path,
    frames: list[str],
    venue: str = "coinbase-exchange",
    every_ns: int = NS_PER_S,
) -> Path:
    """Write frames as a recording, one every ``every_ns``, and return its path."""
    header = {"format": "frames/1", "venue": venue, "source": "made up", "note": "test"}
    lines = [json.dumps(header)]
    for number, frame in enumerate(frames):
        received = RECEIVED_NS + number * every_ns
        lines.append(json.dumps({"ts_recv_ns": received, "frame": frame}))
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    return path
