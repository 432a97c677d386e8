"""Post alerts to a webhook, by a thread of its own: bounded, repeated after faults, not too many.

Delivery: at least once while the process lives, at most for so long as alerts are worth something:
where more wait than a queue holds, the oldest are dropped and counted.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
import structlog

from flows.alerting.decide import Alert
from flows.alerting.message import MessageTemplate
from flows.errors import ConfigurationError
from flows.feeds.retry_after import retry_after_s

QUEUED: Final = 200
TRIES: Final = 5
ANSWER_LIMIT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_MINUTE_S: Final = 60.0

Count = Callable[[str, str], None]
"""Called with an alert's target and what became of it: sent, failed or dropped."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a try came to; ``again_s`` is when to try again, None for never."""

    sent: bool
    again_s: float | None
    cause: str


def _meaning(answer: httpx.Response, pause_s: float) -> Answer:
    """Return what an answer's head says of the alert."""
    if answer.is_success:
        return Answer(True, None, "")
    cause = f"HTTP {answer.status_code}"
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        asked_s = retry_after_s(answer.headers.get("Retry-After"), time.time_ns())
        wait_s = pause_s if asked_s is None else min(asked_s, _LONGEST_PAUSE_S)
        return Answer(False, wait_s, cause)
    return Answer(False, None, cause)


class Webhook:
    """One address. Not logged, not part of any message: it is a secret."""

    def __init__(self, url: str, client: httpx.Client | None = None) -> None:
        self._url = url
        self._client = client or httpx.Client(timeout=ANSWER_LIMIT_S, follow_redirects=False)

    def post(self, body: bytes, pause_s: float) -> Answer:
        """Post once; what follows the answer's head is nobody's to wait for, and is not read.

        Parameters
        ----------
        pause_s
            When to try again where the answer names no time.
        """
        try:
            with self._client.stream(
                "POST", self._url, content=body, headers={"Content-Type": "application/json"}
            ) as answer:
                return _meaning(answer, pause_s)
        except httpx.HTTPError as error:
            return Answer(False, pause_s, type(error).__name__)


class RateLimit:
    """At most so many in any minute.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=per_minute)

    def wait_s(self) -> float:
        """Return how long to wait until one more is allowed; 0 for not at all."""
        if len(self._times) < (self._times.maxlen or 0):
            return 0.0
        return max(self._times[0] + _MINUTE_S - self._clock(), 0.0)

    def note(self) -> None:
        """Count one."""
        self._times.append(self._clock())


class Poster:
    """Takes alerts and posts them one after the other.

    Parameters
    ----------
    sleep
        Waits so many seconds; returns True where the process is stopping.
    """

    def __init__(
        self,
        webhook: Webhook,
        template: MessageTemplate,
        limit: RateLimit,
        count: Count,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        self._webhook = webhook
        self._template = template
        self._limit = limit
        self._count = count
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._queue: deque[Alert] = deque()
        self._ready = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, alert: Alert) -> None:
        """Take an alert; return at once."""
        with self._ready:
            if len(self._queue) >= QUEUED:
                self._count(self._queue.popleft().target, "dropped")
            self._queue.append(alert)
            self._ready.notify()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Post what waits, at most for ``timeout_s``, without pauses."""
        with self._ready:
            self._stop.set()
            self._ready.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._stop.is_set():
                    self._ready.wait()
                if not self._queue:
                    return
                alert = self._queue.popleft()
            self.send(alert)

    def send(self, alert: Alert) -> None:
        """Post one alert, again after faults that pass."""
        try:
            body = self._template.render(alert)
        except ConfigurationError as error:  # of this alert; the thread lives on for the next one
            self._failed(alert, str(error))
            return
        pause_s, cause = _FIRST_PAUSE_S, ""
        for _ in range(TRIES):
            wait_s = self._limit.wait_s()
            if wait_s and self._sleep(wait_s):
                break
            self._limit.note()
            answer = self._webhook.post(body, pause_s)
            if answer.sent:
                self._count(alert.target, "sent")
                return
            cause = answer.cause
            if answer.again_s is None or self._sleep(answer.again_s):
                break
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._failed(alert, cause)

    def _failed(self, alert: Alert, cause: str) -> None:
        self._count(alert.target, "failed")
        structlog.get_logger().warning(
            "alert not delivered", symbol=alert.symbol, target=alert.target, cause=cause
        )
