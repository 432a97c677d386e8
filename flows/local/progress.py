"""Progress of a run until the end, on stderr and only where that is a terminal."""

import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.status import Status

_EVERY_S = 0.2


class Progress(AbstractContextManager["Progress"]):
    """A status line that stays silent where stderr is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._status = Status("starting", console=console) if console.is_terminal else None
        self._next = 0.0

    def show(self, sent: int, left: int) -> None:
        """Show ticks sent so far and, once all are sent, ticks still to be scored."""
        now = time.monotonic()
        if self._status is None or now < self._next:
            return
        self._next = now + _EVERY_S
        rest = f", {left:,} to score" if left else ""
        self._status.update(f"{sent:,} ticks sent{rest}")

    def __enter__(self) -> "Progress":
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
