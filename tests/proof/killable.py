"""The pipeline, ending by SIGKILL at a chosen call of its Kafka client.

``PROOF_KILL=<point>:<n> python -m bytewax.run tests.proof.killable``. Points: ``after_init``,
``rebuild`` (a read of input before the first transaction; where there are fewer, at its beginning),
``consume`` (a read of input later), ``produce``, ``before_offsets``, ``before_commit`` and
``after_commit``; ``n`` counts from 1. A line on stderr tells this end from any other SIGKILL.
The product knows nothing of this: its client classes are exchanged before it is imported.
"""

import os
import signal
from typing import Any

import confluent_kafka

from schemas import topics

POINTS = (
    "after_init",
    "rebuild",
    "consume",
    "produce",
    "before_offsets",
    "before_commit",
    "after_commit",
)
VARIABLE = "PROOF_KILL"
BLEW = "the fuse blew at"


class Fuse:
    """Counts passes of one point and kills this process at the chosen one."""

    def __init__(self, point: str, passes: int) -> None:
        assert point in POINTS, point
        self.point = point
        self.wanted = passes
        self.count = 0
        self.in_transaction = False

    def passed(self, point: str) -> None:
        """Note a pass of any point."""
        if point == self.point:
            self.count += 1
            if self.count >= self.wanted:
                self._blow()

    def begins(self) -> None:
        """Note the beginning of a transaction: after the first one nothing is rebuilt."""
        if self.point == "rebuild" and not self.in_transaction:
            self._blow()
        self.in_transaction = True

    def _blow(self) -> None:
        os.write(2, f"{BLEW} {self.point}, pass {self.count}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def flow() -> Any:
    """Arm the clients, then return the pipeline's dataflow."""
    point, _, passes = os.environ[VARIABLE].partition(":")
    arm(Fuse(point, int(passes)))
    from flows import pipeline

    made = getattr(pipeline, "flow", None) or pipeline.get_flow
    return made() if callable(made) else made


def arm(fuse: Fuse) -> None:
    """Exchange Kafka's client classes for some that tell the fuse of their calls."""

    class Consumer(confluent_kafka.Consumer):
        def consume(self, num_messages: int = 1, timeout: float = -1) -> Any:
            found = super().consume(num_messages, timeout)
            # Single messages are what is asked for to look at a position.
            if num_messages > 1 and any(map(_is_input, found)):
                fuse.passed("consume" if fuse.in_transaction else "rebuild")
            return found

    class Producer(confluent_kafka.Producer):
        def init_transactions(self, *args: Any, **options: Any) -> Any:
            done = super().init_transactions(*args, **options)
            fuse.passed("after_init")
            return done

        def begin_transaction(self, *args: Any, **options: Any) -> Any:
            fuse.begins()
            return super().begin_transaction(*args, **options)

        def produce(self, *args: Any, **options: Any) -> Any:
            done = super().produce(*args, **options)
            fuse.passed("produce")
            return done

        def produce_batch(self, *args: Any, **options: Any) -> Any:
            done = super().produce_batch(*args, **options)
            fuse.passed("produce")
            return done

        def send_offsets_to_transaction(self, *args: Any, **options: Any) -> Any:
            fuse.passed("before_offsets")
            return super().send_offsets_to_transaction(*args, **options)

        def commit_transaction(self, *args: Any, **options: Any) -> Any:
            fuse.passed("before_commit")
            done = super().commit_transaction(*args, **options)
            fuse.passed("after_commit")
            return done

    confluent_kafka.Consumer = Consumer  # type: ignore[misc]
    confluent_kafka.Producer = Producer  # type: ignore[misc]


def _is_input(message: Any) -> bool:
    return message.error() is None and message.topic() == topics.TICKS_RAW
