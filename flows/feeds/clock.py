"""Measure how far this host's clock is from a venue's."""

from collections import deque
from statistics import median

import structlog

from flows.numeric.time import NS_PER_S

WINDOW_S = 30
ENOUGH_S = 5
BEHIND_S = 0.5
"""A message cannot arrive before it was sent, so already this much is certain."""
AHEAD_S = 2.0
"""More than messages are under way over a bad line."""
REPEAT_S = 600


class ClockWatch:
    """Estimate the offset of the host's clock and warn where it is wrong.

    A message is received when the host's clock shows its sending time plus the time under way plus
    the offset. The smallest difference of a second is near the offset, and the median of those over
    the window is not moved by one message with a wrong time.

    Parameters
    ----------
    venue
        Whose clock is the measure, for the warning.
    """

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._second = 0
        self._smallest_ns: int | None = None
        self._window: deque[int] = deque(maxlen=WINDOW_S)
        self._seconds_to_warning = 0

    def note(self, received_ns: int, sent_ns: int) -> None:
        """Take one message into account; nanoseconds since the UNIX epoch, by either clock."""
        difference_ns = received_ns - sent_ns
        second = received_ns // NS_PER_S
        if second == self._second and self._smallest_ns is not None:
            if difference_ns < self._smallest_ns:
                self._smallest_ns = difference_ns
            return
        if self._smallest_ns is not None:
            self._window.append(self._smallest_ns)
            self._check()
        self._second, self._smallest_ns = second, difference_ns

    @property
    def offset_s(self) -> float | None:
        """Seconds by which the host's clock is ahead, negative if it is behind.

        The time that messages are under way is in it. None until some seconds have passed.
        """
        if len(self._window) < ENOUGH_S:
            return None
        return round(median(self._window) / NS_PER_S, 3)

    def _check(self) -> None:
        self._seconds_to_warning -= 1
        if self._seconds_to_warning > 0:
            return
        offset_s = self.offset_s
        if offset_s is None or -BEHIND_S <= offset_s <= AHEAD_S:
            return
        self._seconds_to_warning = REPEAT_S
        direction = "behind" if offset_s < 0 else "ahead of"
        structlog.get_logger().warning(
            f"this host's clock is {abs(offset_s):.1f} s {direction} the venue's: receive times are"
            " wrong by as much; synchronise it (NTP)",
            venue=self._venue,
            clock_offset_s=offset_s,
        )
