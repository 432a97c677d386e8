"""The answer's bytes of a latest score: what does not change is encoded once."""

from collections.abc import Sequence

import msgspec

from flows.numeric.time import NS_PER_MS
from schemas.predictions import Prediction
from serving.scores.age import age_of

_encode = msgspec.json.Encoder().encode


class Held:
    """A prediction, and its JSON once that was asked for.

    Parameters
    ----------
    prediction
        The latest of its symbol.
    """

    __slots__ = ("_head", "prediction")

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self._head: bytes | None = None

    def body(self, now_ns: int, stale_after_s: float) -> bytes:
        """Return the JSON of a :class:`~serving.http.views.ScoreView`.

        Parameters
        ----------
        now_ns
            This host's clock, nanoseconds since the UNIX epoch.
        stale_after_s
            Age from which on a score is stale.
        """
        prediction = self.prediction
        if self._head is None:
            self._head = _encode(prediction)[:-1]
        age = age_of(prediction.ts_scored_ns, now_ns)
        return b'%b,"age_ms":%d,"event_age_ms":%d,"stale":%b,"clock_ahead_ms":%d}' % (
            self._head,
            age.age_ms,
            max((now_ns - prediction.ts_event_ns) // NS_PER_MS, 0),
            b"true" if age.is_stale(stale_after_s) else b"false",
            age.ahead_ms,
        )


def all_bodies(
    entries: Sequence[Held], now_ns: int, stale_after_s: float, *, simulated: bool
) -> bytes:
    """Return the JSON of a :class:`~serving.http.views.ScoresResponse`."""
    return b'{"scores":[%b],"simulated":%b}' % (
        b",".join(entry.body(now_ns, stale_after_s) for entry in entries),
        b"true" if simulated else b"false",
    )
