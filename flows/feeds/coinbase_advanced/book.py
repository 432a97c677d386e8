"""The best quotes of an order book kept from its changes."""

import heapq
from math import inf

from flows.feeds.quotes import Quote

_SLACK = 1024


class _Side:
    """One side's levels, with a heap of keys that may name levels already gone."""

    __slots__ = ("_heap", "_levels", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._levels: dict[float, float] = {}
        self._heap: list[float] = []

    def set(self, price: float, quantity: float) -> None:
        if not 0.0 < price < inf:
            return
        if not 0.0 < quantity < inf:
            self._levels.pop(price, None)
            return
        if price not in self._levels:
            heapq.heappush(self._heap, self._sign * price)
        self._levels[price] = quantity
        if len(self._heap) > 2 * len(self._levels) + _SLACK:
            self._heap = [self._sign * known for known in self._levels]
            heapq.heapify(self._heap)

    def best(self) -> tuple[float | None, float | None]:
        while self._heap:
            price = self._sign * self._heap[0]
            quantity = self._levels.get(price)
            if quantity is not None:
                return price, quantity
            heapq.heappop(self._heap)
        return None, None


class Book:
    """Order book of one product, from its snapshot on."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids = _Side(-1)
        self._asks = _Side(1)

    def set(self, side: str, price: float, quantity: float) -> None:
        """Set a level's quantity; 0 removes the level. ``side`` is ``bid`` or ``offer``."""
        (self._bids if side == "bid" else self._asks).set(price, quantity)

    def quote(self) -> Quote:
        """Return the best quotes; None for a side that is empty."""
        bid, bid_size = self._bids.best()
        ask, ask_size = self._asks.best()
        return bid, ask, bid_size, ask_size
