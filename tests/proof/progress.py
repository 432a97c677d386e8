"""How far a group has come, asked again and again."""

import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas import topics
from tests.support.kafka.tools import PASSING
from tests.support.polling import pause

_ANSWER_LIMIT_S = 120.0
# A client whose only broker is away forgets what that told of the topic, too.
_ABSENT = PASSING | {KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC}


class Progress:
    """A group's committed offsets on ``ticks.raw``."""

    def __init__(self, config: Mapping[str, str], group: str, partitions: int) -> None:
        self._asked = [TopicPartition(topics.TICKS_RAW, part) for part in range(partitions)]
        self._consumer = Consumer(
            {
                **config,
                "group.id": group,
                "enable.auto.commit": False,
                # Do not wait for what a killed instance has left open.
                "isolation.level": "read_uncommitted",
                "log_level": 2,
            }
        )

    def offsets(self) -> dict[int, int]:
        """Return the committed offset of each partition, 0 where there is none."""
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while time.monotonic() < deadline:
            try:
                answer = self._consumer.committed(self._asked, timeout=5)
            except KafkaException as error:
                # While its broker is stopped or gone, as far as anybody knows nothing moves.
                if not _is_absent(error):
                    raise
                continue
            if not any(each.error for each in answer):
                return {each.partition: max(each.offset, 0) for each in answer}
        message = f"no answer from Kafka within {_ANSWER_LIMIT_S:g} s"
        raise TimeoutError(message)

    def at_end(self, offsets: Mapping[int, int]) -> set[int]:
        """Return the partitions whose log ends at the given offset; none that cannot be asked."""
        found = set()
        for partition, offset in offsets.items():
            where = TopicPartition(topics.TICKS_RAW, partition)
            try:
                _low, high = self._consumer.get_watermark_offsets(where, timeout=1)
            except KafkaException as error:
                if not _is_absent(error):
                    raise
                continue
            if high == offset:
                found.add(partition)
        return found

    def total(self) -> int:
        """Return the sum over all partitions."""
        return sum(self.offsets().values())

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Tell whether every partition is committed up to its end."""
        offsets = self.offsets()
        return all(offsets[part] >= end for part, end in ends.items())

    def wait_for(
        self,
        ends: Mapping[int, int],
        deadline_s: float,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wait until every partition is committed up to its end.

        Parameters
        ----------
        alive
            Whether there is anybody left who could commit.

        Raises
        ------
        TimeoutError
            It did not come to that.
        """
        end = time.monotonic() + deadline_s
        while alive() and time.monotonic() < end:
            if self.reached(ends):
                return
            pause(0.05)
        if not self.reached(ends):
            message = f"no commits up to {dict(ends)}, only to {self.offsets()}"
            raise TimeoutError(message)

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()


def _is_absent(error: KafkaException) -> bool:
    """Tell whether there is nobody to answer for now."""
    reason = error.args[0]
    return bool(reason.retriable()) or reason.code() in _ABSENT
