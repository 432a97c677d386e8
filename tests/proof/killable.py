"""The pipeline, ending by SIGKILL at a chosen call of its Kafka client.

``PROOF_KILL=<point>:<n> python -m bytewax.run tests.proof.killable``. Points: ``after_init``,
``rebuild`` (a read before the first transaction), ``consume`` (a read that brought messages),
``produce``, ``before_offsets``, ``before_commit`` and ``after_commit``; ``n`` counts from 1.
The product knows nothing of this: its client classes are exchanged before it is imported.
"""

import os
import signal
from typing import Any

import confluent_kafka

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


class _Fuse:
    """Counts passes of one point and kills this process at the chosen one."""

    def __init__(self, point: str, passes: int) -> None:
        self.point = point
        self.left = passes
        self.in_transaction = False

    def passed(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def flow() -> Any:
    """Arm the clients, then return the pipeline's dataflow."""
    point, _, passes = os.environ[VARIABLE].partition(":")
    assert point in POINTS, point
    _arm(_Fuse(point, int(passes)))
    from flows import pipeline

    made = getattr(pipeline, "flow", None) or pipeline.get_flow
    return made() if callable(made) else made


def _arm(fuse: _Fuse) -> None:
    class Consumer(confluent_kafka.Consumer):
        def consume(self, *args: Any, **options: Any) -> Any:
            found = super().consume(*args, **options)
            if found:
                fuse.passed("consume" if fuse.in_transaction else "rebuild")
            return found

    class Producer(confluent_kafka.Producer):
        def init_transactions(self, *args: Any, **options: Any) -> Any:
            done = super().init_transactions(*args, **options)
            fuse.passed("after_init")
            return done

        def begin_transaction(self, *args: Any, **options: Any) -> Any:
            fuse.in_transaction = True
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
