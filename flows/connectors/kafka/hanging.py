"""A transactional producer whose calls end, although librdkafka's may never.

librdkafka 2.16 forgets a broker that the cluster's metadata leave out for a moment, as they do with
one that was silent towards its controller for longer than its session. A call that was to ask just
that broker then waits for good, whatever time it was given. So calls are made by a thread of their
own; where that does not come back, the producer is to be replaced, which also fences it.
"""

import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition

from flows.connectors.kafka.producer import Target, TransactionalProducer, open_producer
from flows.connectors.kafka.refusals import AbortNeededError

GRACE_S = 3.0
"""How much longer than its time a call may take."""

_SLICE_S = 0.5

Call = Callable[[], object]
Outcome = BaseException | None


class HungClientError(AbortNeededError):
    """The client has not come back from a call; nothing more can be asked of it."""


class CallThread:
    """A thread that makes calls for another, until one of them does not come back.

    Parameters
    ----------
    grace_s
        How much longer than its time a call may take.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._is_given_up = False
        # The thread knows nothing of this object, so that it ends once this one is forgotten.
        weakref.finalize(self, self._calls.put, None)
        threading.Thread(
            target=_make_calls, args=(self._calls, self._outcomes), name="kafka-calls", daemon=True
        ).start()

    def run(self, call: Call, limit_s: float) -> None:
        """Return once the call has.

        Time in which the whole process was stopped does not count, but for a slice.

        Parameters
        ----------
        limit_s
            What the call itself was given, seconds.

        Raises
        ------
        HungClientError
            It has not come back, now or earlier. Its outcome will not be known.
        """
        if self._is_given_up:
            message = "the client hangs since an earlier call"
            raise HungClientError(message)
        self._calls.put(call)
        left_s = limit_s + self._grace_s
        while left_s > 0:
            slice_s = min(left_s, _SLICE_S)
            try:
                outcome = self._outcomes.get(timeout=slice_s)
            except queue.Empty:
                left_s -= slice_s
                continue
            if outcome is not None:
                raise outcome
            return
        self._is_given_up = True
        message = f"the client has not come back from a call that was given {limit_s:g} s"
        raise HungClientError(message)


class EndingProducer:
    """A transactional producer whose calls to the broker end, if by a :class:`HungClientError`.

    Parameters
    ----------
    producer
        Used by one thread at a time.
    grace_s
        How much longer than its time a call may take.
    """

    def __init__(self, producer: TransactionalProducer, grace_s: float = GRACE_S) -> None:
        self._producer = producer
        self._thread = CallThread(grace_s)

    def list_topics(self, topic: str, timeout: float) -> object:  # noqa: D102
        return self._producer.list_topics(topic, timeout)

    def init_transactions(self, timeout: float) -> None:  # noqa: D102
        self._thread.run(lambda: self._producer.init_transactions(timeout), timeout)

    def begin_transaction(self) -> None:  # noqa: D102
        self._producer.begin_transaction()

    def produce_batch(  # noqa: D102
        self, topic: str, messages: list[dict[str, Any]], partition: int
    ) -> int:
        return self._producer.produce_batch(topic, messages, partition=partition)

    def poll(self, timeout: float) -> int:  # noqa: D102
        return self._producer.poll(timeout)

    def send_offsets_to_transaction(  # noqa: D102
        self, offsets: list[TopicPartition], metadata: object, timeout: float
    ) -> None:
        self._thread.run(
            lambda: self._producer.send_offsets_to_transaction(offsets, metadata, timeout), timeout
        )

    def commit_transaction(self, timeout: float) -> None:  # noqa: D102
        self._thread.run(lambda: self._producer.commit_transaction(timeout), timeout)

    def abort_transaction(self, timeout: float) -> None:  # noqa: D102
        self._thread.run(lambda: self._producer.abort_transaction(timeout), timeout)


def open_ending_producer(
    target: Target, on_delivery: Callable[[Any, Any], None]
) -> TransactionalProducer:
    """Return a producer that has not fenced anybody yet, and whose calls end."""
    return EndingProducer(open_producer(target, on_delivery))


def _make_calls(
    calls: "queue.SimpleQueue[Call | None]", outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    while (call := calls.get()) is not None:
        try:
            call()
        except BaseException as error:  # belongs to who asked for the call
            outcomes.put(error)
        else:
            outcomes.put(None)
        del call  # it holds the client, which is not to outlive who uses it
