"""What every peer does to a tick: sixteen of the contract's features, a score, a message.

It runs in each peer's own environment, so it imports nothing of the product. The features are kept
as a user of a stream library would keep them: a deque of the last minute's terms per symbol and
running sums, so that a tick costs the same however many the window holds. The formulas are those of
``schemas.features``; a run compares them with the kernel's values before it measures anything.

Every tick is taken to have a quote and sizes, to be in order and never to be a duplicate: the
simulated market's are. What the product does beyond that (late ticks, gaps, restarts, dead letters,
forty more features, a check of every field) the peers are spared.
"""

import math
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import orjson

FEATURES = (
    "log_return_60",
    "realized_vol_60",
    "tick_return_mean_60",
    "tick_return_std_60",
    "tick_count_60",
    "notional_60",
    "signed_notional_60",
    "volume_imbalance_60",
    "vwap_dev_bps_60",
    "spread_bps",
    "spread_bps_mean_60",
    "imbalance",
    "imbalance_mean_60",
    "microprice_dev_bps",
    "ofi_60",
    "ofi_share_60",
)
"""In the contract's order: what the model takes."""

FIELDS = ("ts_event_ns", "price", "size", "side", "bid", "ask", "bid_size", "ask_size")
"""Of a tick, in the order in which :meth:`Window.push` takes them."""

SPAN_NS = 60_000_000_000
TERMS = 11
_LAST = 5
_HEAD = struct.Struct(f"<q?{_LAST}d{TERMS}d")
_NAN = math.nan

Tick = dict[str, Any]
Last = tuple[float, ...]
"""Mid, bid, ask, bid_size and ask_size of a symbol's newest tick."""
Terms = tuple[float, ...]
"""What of a tick is summed over the window."""


def values_of(tick: Tick) -> tuple[Any, ...]:
    """Return a decoded tick's values in the order of ``FIELDS``."""
    return (
        *(tick["ts_event_ns"], tick["price"], tick["size"], tick["side"]),
        *(tick["bid"], tick["ask"], tick["bid_size"], tick["ask_size"]),
    )


def terms_of(
    last: Last | None,
    price: float,
    size: float,
    side: int,
    bid: float,
    ask: float,
    bid_size: float,
    ask_size: float,
) -> tuple[Last, Terms]:
    """Return what a tick leaves for the one after it, and its terms.

    Parameters
    ----------
    last
        Of the tick before; None for a symbol's first.
    """
    mid = (bid + ask) / 2
    notional = price * size
    returned = r = flow = 0.0
    if last is not None:
        last_mid, last_bid, last_ask, last_bid_size, last_ask_size = last
        returned, r = 1.0, math.log(mid / last_mid)
        if bid >= last_bid:
            flow += bid_size
        if bid <= last_bid:
            flow -= last_bid_size
        if ask <= last_ask:
            flow -= ask_size
        if ask >= last_ask:
            flow += last_ask_size
    spread = 1e4 * (ask - bid) / mid
    tilt = (bid_size - ask_size) / (bid_size + ask_size)
    moved = 1.0 if flow else 0.0
    terms = (
        *(returned, r, r * r, notional, side * notional, size),
        *(spread, tilt, flow, abs(flow), moved),
    )
    return (mid, bid, ask, bid_size, ask_size), terms


def features_of(last: Last, terms: Terms, sums: Terms, count: int) -> list[float]:
    """Return the features in the order of ``FEATURES``; NaN where undefined.

    Parameters
    ----------
    last, terms
        Of the newest tick.
    sums, count
        Of all ticks in its window.
    """
    mid, bid, ask, bid_size, ask_size = last
    rs, r_sum, r_squares, money, signed, volume, spreads, tilts, flows, churn, moves = sums
    micro = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
    return [
        r_sum if rs else _NAN,
        math.sqrt(max(r_squares, 0.0)) if rs else _NAN,
        r_sum / rs if rs else _NAN,
        math.sqrt(max(r_squares - r_sum * r_sum / rs, 0.0) / (rs - 1)) if rs > 1 else _NAN,
        float(count),
        money,
        signed,
        signed / money,
        1e4 * (mid * volume / money - 1),
        terms[6],
        spreads / count,
        terms[7],
        tilts / count,
        1e4 * (micro / mid - 1),
        flows if rs else _NAN,
        flows / churn if moves else _NAN,
    ]


class Window:
    """The last 60 s of one symbol, in memory.

    Attributes
    ----------
    terms
        Event time and terms of each tick in the window.
    sums
        Of the terms.
    last
        Of the newest tick; None before the first.
    """

    __slots__ = ("last", "sums", "terms")

    def __init__(self) -> None:
        self.terms: deque[tuple[int, Terms]] = deque()
        self.sums: Terms = (0.0,) * TERMS
        self.last: Last | None = None

    def push_tick(self, tick: Tick) -> list[float]:
        """Add a decoded tick and return its features."""
        return self.push(*values_of(tick))

    def push(self, ts_ns: int, *values: Any) -> list[float]:
        """Add a tick, given by its values in the order of ``FIELDS``; return its features."""
        self.last, new = terms_of(self.last, *values)
        self.terms.append((ts_ns, new))
        sums = self._slide(ts_ns - SPAN_NS, new)
        return features_of(self.last, new, sums, len(self.terms))

    def _slide(self, until_ns: int, new: Terms) -> Terms:
        """Add terms to the sums, take out those of ticks up to a time, and return the sums."""
        a, b, c, d, e, f, g, h, i, j, k = self.sums
        p, q, r, s, t, u, v, w, x, y, z = new
        a, b, c, d, e, f = a + p, b + q, c + r, d + s, e + t, f + u
        g, h, i, j, k = g + v, h + w, i + x, j + y, k + z
        terms = self.terms
        while terms[0][0] <= until_ns:
            p, q, r, s, t, u, v, w, x, y, z = terms.popleft()[1]
            a, b, c, d, e, f = a - p, b - q, c - r, d - s, e - t, f - u
            g, h, i, j, k = g - v, h - w, i - x, j - y, k - z
        self.sums = (a, b, c, d, e, f, g, h, i, j, k)
        return self.sums

    def to_bytes(self) -> bytes:
        """Return the state for an engine that keeps bytes."""
        last = self.last or (0.0,) * _LAST
        head = _HEAD.pack(len(self.terms), self.last is not None, *last, *self.sums)
        times = np.array([ts for ts, _ in self.terms], "<i8")
        terms = np.array([values for _, values in self.terms], "<f8")
        return head + times.tobytes() + terms.tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Window":
        """Return the window that these bytes are the state of."""
        count, known, *numbers = _HEAD.unpack_from(raw)
        times = np.frombuffer(raw, "<i8", count, _HEAD.size).tolist()
        at = _HEAD.size + 8 * count
        terms = np.frombuffer(raw, "<f8", count * TERMS, at).reshape(count, TERMS).tolist()
        window = cls()
        window.terms.extend(zip(times, map(tuple, terms), strict=True))
        window.last = tuple(numbers[:_LAST]) if known else None
        window.sums = tuple(numbers[_LAST:])
        return window

    def __getstate__(self) -> bytes:
        return self.to_bytes()

    def __setstate__(self, state: bytes) -> None:
        other = Window.from_bytes(state)
        self.terms, self.sums, self.last = other.terms, other.sums, other.last


class Scorer:
    """The model, on one thread: the machine is shared.

    Parameters
    ----------
    path
        The ONNX file.
    """

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Return a score for each row of features."""
        values = np.asarray(rows, np.float32).reshape(-1, len(FEATURES))
        found: list[float] = self._session.run(None, {self._input: values})[0].reshape(-1).tolist()
        return found


def message(tick: Tick, score: float, offset: int, features: Iterable[float] | None) -> bytes:
    """Return what goes to the output topic for a tick.

    Parameters
    ----------
    offset
        Of the tick on the input topic.
    features
        Given where a run is checked, not where it is measured.
    """
    told = prediction(tick["symbol"], tick["ts_event_ns"], score, offset)
    if features is not None:
        told["features"] = list(features)
    return orjson.dumps(told)


def prediction(symbol: str, ts_event_ns: int, score: float, offset: int) -> dict[str, Any]:
    """Return the output's fields."""
    return {"symbol": symbol, "ts_event_ns": ts_event_ns, "score": score, "offset": offset}
