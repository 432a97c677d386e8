"""Recognise that a recording's connection was silent, where it does not mark its connections."""

from collections.abc import Sequence
from math import inf

from flows.numeric.time import NS_PER_S

SILENCE_NS = 5 * NS_PER_S
"""A live client gives a connection up after this time without any message."""

SILENCE_RATIO = 20
"""A silence is also this many times the usual time between two frames: by chance alone, trades of
a Poisson process are so far apart once in e^20 times."""

_SPACINGS = 64
_LEARN_EVERY = 8


class Silence:
    """Recognise, by the times of a recording's frames, that its connection was silent.

    What is usual is the mean of the last spacings that were no silence, some dozens. Heartbeats
    come every second, so where there are any, every silence of some seconds counts.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._heartbeats = False
        self._sum_ns = 0
        self._spacings = 0
        self._limit_ns: float = inf  # nothing to compare with yet

    def ends_with(self, ts_ns: int, *, heartbeat: bool = False) -> bool:
        """Return whether a silence lies before the frame of this time; note the frame."""
        last_ns, self._last_ns = self._last_ns, ts_ns
        if heartbeat and not self._heartbeats:
            self._heartbeats, self._limit_ns = True, SILENCE_NS
        if last_ns is None or ts_ns <= last_ns:
            return False
        spacing_ns = ts_ns - last_ns
        if spacing_ns > self._limit_ns:
            return True
        self._sum_ns += spacing_ns
        self._spacings += 1
        if self._spacings % _LEARN_EVERY == 0 or self._limit_ns == inf:
            self._learn()
        return False

    def note_all(self, times_ns: Sequence[int], *, through: bool) -> tuple[int, int]:
        """Note frames that are no heartbeats, as :meth:`ends_with` does one by one.

        Parameters
        ----------
        through
            False: only those before the first that ends a silence.

        Returns
        -------
        How many were noted, and how many silences lie before them.
        """
        last_ns, limit_ns = self._last_ns, self._limit_ns
        total_ns, spacings, silences = self._sum_ns, self._spacings, 0
        noted = len(times_ns)
        for at, ts_ns in enumerate(times_ns):
            if last_ns is None or ts_ns <= last_ns:
                last_ns = ts_ns
                continue
            spacing_ns = ts_ns - last_ns
            if spacing_ns > limit_ns:
                if not through:
                    noted = at
                    break
                silences += 1
                last_ns = ts_ns
                continue
            last_ns = ts_ns
            total_ns += spacing_ns
            spacings += 1
            if spacings % _LEARN_EVERY == 0 or limit_ns == inf:
                self._sum_ns, self._spacings = total_ns, spacings
                self._learn()
                total_ns, spacings, limit_ns = self._sum_ns, self._spacings, self._limit_ns
        self._last_ns, self._sum_ns, self._spacings = last_ns, total_ns, spacings
        return noted, silences

    def _learn(self) -> None:
        mean_ns = self._sum_ns / self._spacings
        if not self._heartbeats:
            self._limit_ns = max(SILENCE_NS, SILENCE_RATIO * mean_ns)
        if self._spacings >= _SPACINGS:  # what is older counts half
            self._sum_ns //= 2
            self._spacings //= 2
