"""Repeat calls to the broker whose errors pass by themselves, for a limited time."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from tenacity import Retrying, retry_if_exception, wait_exponential

Answer = TypeVar("Answer")

# The longest that a single attempt may wait for its answer.
STEP_S = 5.0
_SHORTEST_STEP_S = 0.05
_SLEPT_S = 5.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.1

# Not marked retriable by librdkafka everywhere, and all of them pass.
_PASSING = {
    KafkaError._TIMED_OUT,  # noqa: SLF001 (librdkafka's names of its own error codes)
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
    # A node was given up while it was asked, as its address or its cluster was.
    KafkaError._DESTROY,  # noqa: SLF001
    KafkaError._DESTROY_BROKER,  # noqa: SLF001
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # just created, and not known everywhere yet
    # What a partition answers while it changes its leader, and a node while it starts or ends.
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
}


def is_passing(error: KafkaError) -> bool:
    """Tell whether the same call may succeed a little later."""
    if error.txn_requires_abort():
        return False
    return bool(error.retriable()) or error.code() in _PASSING


def retried(
    call: Callable[[float], Answer],
    limit_s: float,
    *,
    step_s: float = STEP_S,
    passes: Callable[[KafkaError], bool] = is_passing,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Call until it succeeds; repeat it after an error that passes, as long as the time lasts.

    An attempt that outlasts its step by far was stopped together with its process: that time does
    not count, once, so that a process that wakes up late asks once more and learns how things are.

    Parameters
    ----------
    call
        Takes the seconds that this attempt may last, > 0.
    limit_s
        Seconds from now after which no further attempt is made.
    step_s
        The longest single attempt.
    passes
        Which errors are worth another attempt.
    clock
        Monotonic seconds.

    Raises
    ------
    KafkaException
        The last error, where it does not pass or the time is up.
    """
    end = clock() + limit_s
    slept = False

    def attempt() -> Answer:
        nonlocal end, slept
        began = clock()
        step = min(step_s, max(end - began, _SHORTEST_STEP_S))
        try:
            return call(step)
        except KafkaException:
            took = clock() - began
            if not slept and took > step + _SLEPT_S:
                slept = True
                end += took
            raise

    def is_worth_it(error: BaseException) -> bool:
        return isinstance(error, KafkaException) and passes(error.args[0])

    retrying = Retrying(
        retry=retry_if_exception(is_worth_it),
        stop=lambda _state: clock() >= end,
        wait=wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        reraise=True,
    )
    return retrying(attempt)
