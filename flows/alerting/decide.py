"""Which predictions give an alert: one for a symbol and target, then none until it has cooled."""

from collections.abc import Iterator

import msgspec

from flows.numeric.time import NS_PER_S
from schemas.predictions import Prediction

MAX_PLACES = 10_000
"""Symbols and targets in memory; beyond it the one that alerted longest ago is forgotten."""

Place = tuple[str, str, str]
"""Venue, symbol and target."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a message tells.

    Attributes
    ----------
    score
        In [0, 1], at or above the model's threshold.
    suppressed
        Predictions of the same symbol and target that were at or above it since the last alert.
    """

    symbol: str
    venue: str
    target: str
    score: float
    model: str
    price: float
    ts_event_ns: int
    ts_scored_ns: int
    partition: int
    offset: int
    suppressed: int = 0


class SpikeAlerts:
    """Decides by event time, so that a replay gives the alerts of the live run.

    Parameters
    ----------
    cooldown_s
        Event time after an alert for which its symbol and target give no other one.
    """

    def __init__(self, cooldown_s: float) -> None:
        self._cooldown_ns = int(cooldown_s * NS_PER_S)
        self._last_ns: dict[Place, int] = {}
        self._suppressed: dict[Place, int] = {}

    def observe(self, prediction: Prediction) -> Iterator[Alert]:
        """Yield an alert for each target whose model decides that a spike comes.

        A symbol that is not warm gives none: its windows are not full yet. Forecasts decide
        nothing.
        """
        for target, own in prediction.scores.items():
            if not (own.decision and prediction.warm):
                continue
            place = (prediction.venue, prediction.symbol, target)
            if self._is_cooling(place, prediction.ts_event_ns):
                self._suppressed[place] = self._suppressed.get(place, 0) + 1
                continue
            self._note(place, prediction.ts_event_ns)
            yield Alert(
                symbol=prediction.symbol,
                venue=prediction.venue,
                target=target,
                score=own.score,
                model=f"{own.model}@{own.version}",
                price=prediction.price,
                ts_event_ns=prediction.ts_event_ns,
                ts_scored_ns=prediction.ts_scored_ns,
                partition=prediction.partition,
                offset=prediction.offset,
                suppressed=self._suppressed.pop(place, 0),
            )

    def _is_cooling(self, place: Place, ts_ns: int) -> bool:
        """Tell whether an alert was given shortly before; a clock that was set back begins anew."""
        last_ns = self._last_ns.get(place)
        return last_ns is not None and abs(ts_ns - last_ns) < self._cooldown_ns

    def _note(self, place: Place, ts_ns: int) -> None:
        self._last_ns.pop(place, None)
        self._last_ns[place] = ts_ns  # the newest last
        if len(self._last_ns) > MAX_PLACES:
            oldest = next(iter(self._last_ns))
            del self._last_ns[oldest]
            self._suppressed.pop(oldest, None)
