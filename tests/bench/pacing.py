"""A steady load: small slices at fixed times, each message's moment known."""

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
from confluent_kafka import KafkaError, Producer

from flows.numeric.time import NS_PER_S
from tests.bench.load import Message
from tests.bench.percentiles import Ints

SLICE_NS = 2_000_000
_DELIVERY_LIMIT_S = 30.0


def due_ns(count: int, rate_hz: float, slice_ns: int = SLICE_NS) -> Ints:
    """Return when each message is due, nanoseconds from the begin, int64, shape (count,), rising.

    Messages whose turn comes within the same ``slice_ns`` are due together, at its begin.
    """
    own = (np.arange(count) * (NS_PER_S / rate_hz)).astype(np.int64)
    return own // slice_ns * slice_ns if rate_hz * slice_ns > NS_PER_S else own


class SteadyFeeder:
    """Writes messages to partition 0 at ``rate_hz`` from a thread, until told to stop.

    The times are a plan made beforehand: a slice that cannot be sent in time is sent as soon as
    possible, stays due when it was, and does not put off those after it.

    Parameters
    ----------
    config
        Of the client.
    messages
        What to write; it is an error to run out of them.
    """

    def __init__(
        self, config: Mapping[str, str], topic: str, messages: Sequence[Message], rate_hz: float
    ) -> None:
        self._topic = topic
        self._messages = messages
        self._due_ns = due_ns(len(messages), rate_hz)
        self._sent_ns = np.zeros(len(messages), np.int64)
        self._begin_ns = 0
        self._count = 0
        self._failure: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady-feeder", daemon=True)
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "linger.ms": 0,
                "log_level": 2,
                "queue.buffering.max.messages": 1_000_000,
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            }
        )

    @property
    def count(self) -> int:
        """How many messages were sent."""
        return self._count

    @property
    def intended_ns(self) -> Ints:
        """When each sent message was due, ``time.monotonic_ns()``, shape (count,)."""
        return self._begin_ns + self._due_ns[: self._count]

    @property
    def sent_ns(self) -> Ints:
        """When each sent message was handed over, ``time.monotonic_ns()``, shape (count,)."""
        return self._sent_ns[: self._count]

    def start(self) -> None:
        """Begin."""
        self._begin_ns = time.monotonic_ns()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until everything is delivered.

        Raises
        ------
        RuntimeError
            Something was not, or the messages did not suffice.
        """
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(_DELIVERY_LIMIT_S)
        if left or self._failure:
            message = f"the load failed: {self._failure or f'{left} messages undelivered'}"
            raise RuntimeError(message)

    def _run(self) -> None:
        ends = np.flatnonzero(np.diff(self._due_ns)) + 1  # one past each slice but the last
        for stop in [*ends.tolist(), len(self._messages)]:
            due_ns = self._begin_ns + int(self._due_ns[self._count])
            wait_ns = due_ns - time.monotonic_ns()
            if self._stop.wait(max(wait_ns, 0) / NS_PER_S):
                return
            self._send(stop)
        self._failure = f"no more than {len(self._messages)} messages were prepared"

    def _send(self, stop: int) -> None:
        start = self._count
        chunk = list(self._messages[start:stop])
        self._sent_ns[start:stop] = time.monotonic_ns()
        if self._producer.produce_batch(self._topic, chunk, partition=0) != len(chunk):
            self._failure = "the producer's queue is full"
        self._producer.poll(0)
        self._count = stop

    def _on_failure(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failure = str(error)
