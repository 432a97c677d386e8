"""Try again what is worth trying again, for a limited time."""

import threading
import time

from confluent_kafka import KafkaError, KafkaException

_PAUSE_S = 0.02
_STEP_S = 5.0

# Not marked retriable by librdkafka everywhere, and all of them pass.
_PASSING = {
    KafkaError._TIMED_OUT,  # noqa: SLF001 (librdkafka's names of its own error codes)
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # just created, and not known everywhere yet
}


def is_passing(error: KafkaError) -> bool:
    """Tell whether the same call may succeed a little later."""
    return bool(error.retriable()) or error.code() in _PASSING


class Deadline:
    """A time limit over several attempts of something.

    Parameters
    ----------
    limit_s
        Seconds from now.
    """

    def __init__(self, limit_s: float) -> None:
        self._end = time.monotonic() + limit_s
        self._never = threading.Event()

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def step_s(self) -> float:
        """Return the seconds that a single attempt may take, more than 0."""
        return min(_STEP_S, max(self._end - time.monotonic(), 0.05))

    def retry_or_raise(self, error: KafkaException) -> None:
        """Pause a moment if another attempt makes sense; otherwise raise ``error``."""
        if self.passed or not is_passing(error.args[0]):
            raise error
        self.pause()

    def pause(self) -> None:
        """Let a moment pass before the next attempt."""
        self._never.wait(_PAUSE_S)
