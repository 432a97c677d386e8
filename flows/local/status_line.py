"""Show a run's status on stderr: a live line on a terminal, now and then a line elsewhere."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog

from flows.local.status import Snapshot, Status, fields, read_snapshot, sentence, status_of
from flows.local.supervisor import Supervisor
from flows.settings import Settings

EVERY_S = 1.0
LOG_EVERY_S = 60.0
# No start is faster; until then the machine is left to those that score.
FIRST_S = 1.5
# Over so long a time a rate is counted.
_RATE_S = 5.0

Show = Callable[[Status], None]


def start_status_line(settings: Settings, supervisor: Supervisor, page: str | None) -> None:
    """Show the run's status from a thread of its own, until everything is being stopped.

    Parameters
    ----------
    settings
        Of the run, its servers' addresses in them.
    page
        Where to look; None without an API.
    """
    if settings.redis_url is None:
        return
    threading.Thread(
        target=_run, args=(settings, supervisor, page), name="status-line", daemon=True
    ).start()


def _run(settings: Settings, supervisor: Supervisor, page: str | None) -> None:
    if supervisor.stopping(FIRST_S):
        return
    # Here, not above: the client takes a quarter of a second to import.
    import redis
    from redis.exceptions import RedisError

    url = settings.redis_url
    client = redis.Redis.from_url("" if url is None else url.get_secret_value(), socket_timeout=1.0)
    target = settings.targets[0]
    taken: list[Snapshot] = []
    live, show = _display(settings, page)
    with client, live:
        while not supervisor.stopping(EVERY_S):
            try:
                snapshot = read_snapshot(client, target, time.monotonic())
            except RedisError:
                continue
            taken = [each for each in taken if snapshot.at_s - each.at_s <= _RATE_S] + [snapshot]
            show(status_of(taken[0], snapshot, target, time.time_ns()))


def _display(settings: Settings, page: str | None) -> tuple[AbstractContextManager[Any], Show]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal or settings.log_format != "console":
        return nullcontext(), LogLines().show
    live = Live(
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )

    def show(status: Status) -> None:
        line = sentence(status, page, console.width)
        live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)

    return live, show


class LogLines:
    """Log the status when something about it is new, and once a minute.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_s: float | None = None
        self._seen: tuple[object, ...] = ()

    def show(self, status: Status) -> None:
        """Log a status, if it is time."""
        if status.symbol is None:
            return
        seen = (status.model, status.latency_ms is not None, status.quality is not None)
        now_s = self._clock()
        due = self._logged_s is None or now_s - self._logged_s >= LOG_EVERY_S
        if due or seen != self._seen:
            self._logged_s, self._seen = now_s, seen
            structlog.get_logger().info("running", **fields(status))
