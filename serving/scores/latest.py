"""The newest score of each symbol in this process's own memory.

The subscription brings every new score; a read of all scores, once a second, brings what no message
tells of: symbols that ended, keys that somebody removed, a Redis that was emptied. Redis stays the
truth. Memory answers only while the subscription is known to be alive and caught up; otherwise, and
for a symbol that memory does not hold, Redis is asked.

No read shows an older score than one shown before: messages come in the order of Redis, a read of
all scores counts only once the messages before it have been taken, and where a read of Redis was
ahead of the messages, Redis is asked again until they are there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from schemas.predictions import Prediction
from serving.http.problems import RedisUnavailableError
from serving.scores.body import Held
from serving.scores.store import ScoreStore

TRUSTED_S = 2.0
"""Memory answers for so long after the subscription's last sign of life, and after the next read of
all scores was due."""

PING_S = 0.5
COMPARE_S = 1.0
_SHARE = 0.05
"""Reading all scores of very many symbols takes no more than this part of the time."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """Where in the log lies what a read of Redis has shown, and until when that is kept."""

    partition: int
    offset: int
    until_s: float


class LatestScores:
    """The latest scores, from memory where that is as good as Redis.

    Parameters
    ----------
    store
        Reads from Redis.
    clock
        Monotonic seconds.
    """

    def __init__(self, store: ScoreStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._names: list[str] | None = None
        self._touched: set[str] = set()
        self._shown: dict[str, _Shown] = {}
        self._heard_s = float("-inf")
        self._compared_until_s = float("-inf")

    def held(self, symbol: str) -> Held | None:
        """Return a symbol's latest from memory; None where Redis has to be asked."""
        found = self._held.get(symbol)
        if found is None or not self._is_current() or (self._shown and self._lags(symbol)):
            return None
        return found

    def all_held(self) -> list[Held] | None:
        """Return the latest of every symbol, by name; None where Redis has to be asked."""
        if not self._is_current() or any(self._lags(symbol) for symbol in list(self._shown)):
            return None
        if self._names is None:
            self._names = sorted(self._held)
        return [self._held[name] for name in self._names]

    async def entry(self, symbol: str) -> Held | None:
        """Return a symbol's latest; None for one without a score.

        Raises
        ------
        RedisUnavailableError
            Memory cannot tell, and Redis does not answer.
        """
        found = self.held(symbol)
        if found is None:
            prediction = await self._store.latest(symbol)
            if prediction is not None:
                self._show([prediction])
                found = Held(prediction)
        return found

    async def entries(self) -> list[Held]:
        """Return the latest of every symbol, by name.

        Raises
        ------
        RedisUnavailableError
            Memory cannot tell, and Redis does not answer.
        """
        found = self.all_held()
        if found is None:
            predictions = await self._store.all_latest()
            self._show(predictions)
            found = [Held(prediction) for prediction in predictions]
        return found

    async def latest(self, symbol: str) -> Prediction | None:
        """Return the newest prediction of a symbol, as :meth:`entry` does."""
        found = await self.entry(symbol)
        return None if found is None else found.prediction

    async def all_latest(self) -> list[Prediction]:
        """Return the newest prediction of every symbol, as :meth:`entries` does."""
        return [held.prediction for held in await self.entries()]

    def take(self, prediction: Prediction) -> None:
        """Take a published prediction over: what is published is what Redis then holds."""
        symbol = prediction.symbol
        if symbol not in self._held:
            self._names = None
        self._held[symbol] = Held(prediction)
        self._touched.add(symbol)

    def heard(self) -> None:
        """Take note of a sign of life of the subscription."""
        self._heard_s = self._clock()

    def lost(self) -> None:
        """Forget everything: the subscription has ended, and what it would have said is missing."""
        self._compared_until_s = float("-inf")
        self._replace({})

    async def follow(self, barrier: Callable[[], Awaitable[None]]) -> NoReturn:
        """Keep memory equal to Redis while a subscription stands.

        Parameters
        ----------
        barrier
            Returns once everything that was published before has been taken.

        Raises
        ------
        TimeoutError, redis.RedisError, OSError
            The subscription does not answer.
        """
        due_s = float("-inf")
        while True:
            begin_s = self._clock()
            if begin_s < due_s:
                await barrier()
            elif await self._compare(barrier):
                end_s = self._clock()
                due_s = max(begin_s + COMPARE_S, end_s + (end_s - begin_s) / _SHARE)
                self._compared_until_s = due_s + TRUSTED_S
            await asyncio.sleep(PING_S)

    async def _compare(self, barrier: Callable[[], Awaitable[None]]) -> bool:
        """Read all scores; return whether Redis answered.

        What was published meanwhile is newer than what was read, or as new.
        """
        self._touched = set()
        try:
            predictions = await self._store.all_latest()
        except RedisUnavailableError:
            return False  # reads say so themselves, once what was compared is too old
        await barrier()
        found = {prediction.symbol: self._as_held(prediction) for prediction in predictions}
        newer = {name: self._held[name] for name in self._touched if name in self._held}
        self._replace(found | newer)
        return True

    def _as_held(self, prediction: Prediction) -> Held:
        """Return what is held where it is the same, and with it what was encoded."""
        held = self._held.get(prediction.symbol)
        return held if held is not None and held.prediction == prediction else Held(prediction)

    def _replace(self, held: dict[str, Held]) -> None:
        self._held = held
        self._names = None

    def _is_current(self) -> bool:
        now_s = self._clock()
        return now_s <= self._compared_until_s and now_s - self._heard_s <= TRUSTED_S

    def _show(self, predictions: Iterable[Prediction]) -> None:
        """Remember what a read of Redis shows, as long as its message may still be on the way."""
        now_s = self._clock()
        self._shown = {name: at for name, at in self._shown.items() if at.until_s > now_s}
        for each in predictions:
            self._shown[each.symbol] = _Shown(each.partition, each.offset, now_s + TRUSTED_S)

    def _lags(self, symbol: str) -> bool:
        """Tell whether memory is behind what a read of Redis has shown."""
        shown = self._shown.get(symbol)
        if shown is None:
            return False
        held = self._held.get(symbol)
        behind = held is None or (
            held.prediction.partition == shown.partition and held.prediction.offset < shown.offset
        )
        if behind and self._clock() < shown.until_s:
            return True
        del self._shown[symbol]
        return False
