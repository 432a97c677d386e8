"""A thread that writes to Redis, so that a Redis that is slow or away holds up nothing."""

import threading
import time
from collections.abc import Callable

import redis
import structlog
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from schemas.redis_errors import meaning_of, words_of

ANSWER_LIMIT_S = 2.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
RESTS = 9
"""A thread rests so many times as long as it worked: it takes a tenth of a core at most, however
much there is to write. The flow beside it needs the same interpreter."""

Write = Callable[[redis.Redis], None]


def connect(url: str) -> redis.Redis:
    """Return a client that answers or fails within seconds; it connects at its first use.

    It never reconnects by itself: that could hide that Redis came back empty.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=ANSWER_LIMIT_S,
        socket_connect_timeout=ANSWER_LIMIT_S,
        retry=Retry(NoBackoff(), 0),
    )


class WriterThread:
    """Calls ``write`` after each :meth:`wake`, and again while Redis is away.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    name
        Of the thread, and of what waits in the log's line about a Redis that is away.
    write
        Writes whatever is pending and returns; raises what the client raises, and is then called
        again. Used by the thread alone.
    on_failure
        Called by the thread after each failed write.
    round_s
        Least time between two writes.
    worked_s
        The thread's own processor time so far, seconds.
    """

    def __init__(
        self,
        url: str,
        name: str,
        write: Write,
        on_failure: Callable[[], None] = lambda: None,
        round_s: float = 0.0,
        worked_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._client = connect(url)
        self._name = name
        self._write = write
        self._on_failure = on_failure
        self._round_s = round_s
        self._worked_s = worked_s
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._away = False
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run, name=f"redis-{name}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    @property
    def is_away(self) -> bool:
        """Whether the last write failed, or an error that none expected has ended the thread."""
        return self._away or not (self._stopping.is_set() or self._thread.is_alive())

    def wake(self) -> None:
        """Have pending things written; return at once."""
        self._wakeup.set()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._stopping.set()
        self._wakeup.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        retrying = Retrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            stop=stop_when_event_set(self._stopping),
            wait=wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
            sleep=sleep_using_event(self._stopping),
            after=self._failed,
            reraise=True,
        )
        stopping = False
        while not stopping:
            self._wakeup.wait()
            self._wakeup.clear()
            stopping = self._stopping.is_set()
            begun_s = self._worked_s()
            try:
                retrying(self._write, self._client)
            except (RedisError, OSError):
                break  # told to stop while Redis is away
            except Exception:
                # The flow goes on as without Redis; a thread's own end is no line of its log.
                self._log.exception("nothing more is written to Redis", written=self._name)
                break
            if self._away:
                self._away = False
                self._log.info("Redis is back", written=self._name)
            self._stopping.wait(max(self._round_s, RESTS * (self._worked_s() - begun_s)))
        self._client.close()

    def _failed(self, attempt: RetryCallState) -> None:
        # After a failover the open connection may lead to what is a replica now, for good.
        self._client.connection_pool.disconnect()
        self._on_failure()
        if not self._away and attempt.outcome is not None:
            self._away = True
            error = attempt.outcome.exception()
            cause = "" if error is None else f"{meaning_of(error)} ({words_of(error)})"
            self._log.warning("Redis is away", waiting=self._name, cause=cause)
