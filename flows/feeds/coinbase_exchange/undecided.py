"""Hold the ticks of ``ticker`` until it is known whether ``matches`` gives a product's trades."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick

UNDECIDED_NS = 2 * NS_PER_S
"""How long the ticks of a product wait, nanoseconds."""

_MOST = 1_000


@dataclass(slots=True)
class _Waiting:
    since_ns: int
    ticks: list[Tick] = field(default_factory=list)


class Undecided:
    """Ticks of products of which one connection has not said yet which channel has their trades.

    A client may have to ask for its products one by one, so an acknowledgement decides for those
    that it names.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._decided: set[str] = set()

    def pass_on(self, product: str, ticks: Iterable[Tick], now_ns: int) -> list[Tick]:
        """Return the ticks that need not wait, or wait no longer; keep the others.

        Parameters
        ----------
        now_ns
            When they arrived, nanoseconds since the UNIX epoch.
        """
        if product in self._decided:
            return list(ticks)
        waiting = self._waiting.setdefault(product, _Waiting(now_ns))
        waiting.ticks += ticks
        if now_ns - waiting.since_ns <= UNDECIDED_NS and len(waiting.ticks) <= _MOST:
            return []
        return self._decide(product)

    def decide(self, named: Iterable[str], matched: set[str]) -> list[Tick]:
        """Return the ticks that wait of products without ``matches``, and forget the others'.

        Parameters
        ----------
        named
            Products that the connection is subscribed to.
        matched
            Those of them whose trades ``matches`` gives.
        """
        released: list[Tick] = []
        for product in sorted(named):
            ticks = self._decide(product)
            released += [] if product in matched else ticks
        return released

    def _decide(self, product: str) -> list[Tick]:
        self._decided.add(product)
        waiting = self._waiting.pop(product, None)
        return [] if waiting is None else waiting.ticks
