"""Repeat calls to the broker whose errors pass by themselves, for a limited time."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

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
    # Its time was over before it was sent: the connection was full, or not there yet.
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
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
    # The same by what the client was told last: a broker that has just come back names fewer.
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
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
    # Plain code: this is called twice for each commit, and what a library leaves behind of a call
    # holds itself; the collector, which frees it, stops every thread for tens of milliseconds.
    end = clock() + limit_s
    pause_s = _FIRST_PAUSE_S
    slept = False
    while True:
        began = clock()
        step = min(step_s, max(end - began, _SHORTEST_STEP_S))
        try:
            return call(step)
        except KafkaException as error:
            now = clock()
            if not slept and now - began > step + _SLEPT_S:
                slept = True
                end += now - began
            if not passes(error.args[0]) or now >= end:
                raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
