"""How old each symbol's newest committed event is, with bounded labels."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from flows.codec.outputs import Latest
from flows.codec.validity import newest_after
from flows.numeric.time import NS_PER_S

MAX_SYMBOLS: Final = 200
"""Those beyond are shown as one, ``other``, so that no feed makes labels without end."""

OTHER: Final = "other"


class _Newest(NamedTuple):
    """A symbol's newest event, and the partition that it was committed of last."""

    event_ns: int
    partition: int


class SymbolFreshness(Collector):
    """``voltick_symbol_event_age_seconds``, computed when Prometheus asks.

    Parameters
    ----------
    ttl_s
        A symbol that was silent for so long is no longer shown.
    clock_ns
        Nanoseconds since the UNIX epoch.
    """

    def __init__(self, ttl_s: float = 86_400.0, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.ttl_s = ttl_s
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._newest: dict[str, _Newest] = {}

    def note(self, committed: Iterable[Latest]) -> None:
        """Take over the newest events of symbols whose predictions were committed.

        One that begins its symbol anew counts: the clock before, which was wrong, would hide for as
        long that the symbol is silent.
        """
        with self._lock:
            for each in committed:
                if each.ts_event_ns is None:
                    continue
                is_shown = each.symbol in self._newest or len(self._newest) < MAX_SYMBOLS
                symbol = each.symbol if is_shown else OTHER
                known = self._newest.get(symbol)
                newest_ns = each.ts_event_ns
                if known is not None:
                    choose = newest_after if is_shown else max
                    newest_ns = choose(known.event_ns, newest_ns)
                self._newest[symbol] = _Newest(newest_ns, each.partition)

    def forget(self, partition: int) -> None:
        """Show no symbols of a partition, which another process commits from now on."""
        with self._lock:
            self._newest = {
                at: one for at, one in self._newest.items() if one.partition != partition
            }

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the ages; of ``other`` that of the newest event among them."""
        family = GaugeMetricFamily(
            "voltick_symbol_event_age_seconds",
            "Time since a symbol's newest event whose prediction is committed; negative where its"
            f" clock is ahead. Beyond {MAX_SYMBOLS} symbols, `{OTHER}` is the newest of the rest.",
            labels=("symbol",),
        )
        now_ns = self._clock_ns()
        with self._lock:
            oldest_ns = now_ns - int(self.ttl_s * NS_PER_S)
            self._newest = {
                at: one for at, one in self._newest.items() if one.event_ns >= oldest_ns
            }
            for symbol, newest in sorted(self._newest.items()):
                family.add_metric((symbol,), (now_ns - newest.event_ns) / NS_PER_S)
        yield family
