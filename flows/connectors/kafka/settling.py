"""When the next transaction may begin, and whether its offset goes first.

The broker answers a commit before it has finished it: a marker still has to reach every partition.
Until then it refuses the next transaction. To the offset that costs little, since the client sends
it again after a millisecond or two; where the first message's partition is refused, the client
always waits 20 ms.
"""

import time
from collections.abc import Callable

SETTLE_S = 0.002
"""Within this time after its answer a broker nearby has finished a commit."""

REFUSED_S = 0.02
"""What a commit takes at least whose messages were refused."""

REFUSED_IN_A_ROW = 3
"""So many are no accident: this broker needs longer."""

CAUTIOUS_COMMITS = 500
"""For how many commits the offset then goes first, before the faster order is tried again."""


class Settling:
    """The end of one partition's last transaction, and what it tells of the next.

    Messages and offset on their way at the same time make the shortest transaction: that is the
    usual order, begun once the last transaction has had the time to be finished. With a broker that
    needs longer (replicas in other places) the offset goes first and alone; once it is accepted,
    nothing is refused.

    Parameters
    ----------
    clock, sleep
        Of monotonic seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._ended_s: float | None = None
        self._refused = 0
        self._cautious = 0

    @property
    def offset_first(self) -> bool:
        """Whether the next transaction's offset is to be sent before any message."""
        return self._cautious > 0

    def wait(self) -> None:
        """Wait until messages of a next transaction would probably not be refused."""
        if self._ended_s is None or self.offset_first:
            return
        left_s = self._ended_s + SETTLE_S - self._clock()
        if left_s > 0:
            self._sleep(left_s)

    def note_end(self) -> None:
        """Take note that the broker has just answered a commit or an abort."""
        self._ended_s = self._clock()

    def note_commit(self, seconds: float, *, caught_up: bool) -> None:
        """Take note of a commit that has just been answered.

        Parameters
        ----------
        seconds
            From when the first message was handed over, or later.
        caught_up
            Whether it was small: one under backlog takes long for its size.
        """
        self.note_end()
        if self._cautious > 0:
            self._cautious -= 1
        elif caught_up and seconds >= REFUSED_S:
            self._refused += 1
        else:
            self._refused = 0
        if self._refused == REFUSED_IN_A_ROW:
            self._refused, self._cautious = 0, CAUTIOUS_COMMITS
