"""Offsets that were committed without a message, on a broker that drops them.

The embedded broker begins a transaction with its first message: the offset of one without messages
is kept where it is the producer's first, else it stays behind, unseen, until the next messages. So
after a batch of nothing but duplicates a group would seem to lag, for as long as no other tick
comes. There such an offset is committed once more, outside of a transaction, which that broker
could not guard anyway.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.client import client_config
from flows.connectors.kafka.group_commit import group_commit
from flows.connectors.kafka.producer import Target


class BareOffsets:
    """Sees to it that a partition's offsets are kept where no message went with them.

    Whether the broker keeps them is asked once, behind the first such commit that tells. One that
    keeps commits' metadata, as Apache Kafka does, is never written to.

    Parameters
    ----------
    target
        Whose offset.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._is_first = True
        self._are_kept: bool | None = None
        self._consumer: Consumer | None = None

    def note(self, offset: int, metadata: str, batches: Sequence[OutputBatch]) -> None:
        """Take note of a transaction that the broker says it has committed.

        A broker that does not answer here is asked next time.

        Parameters
        ----------
        offset, metadata
            What it carried, beside the messages of ``batches``.
        """
        is_first, self._is_first = self._is_first, False
        if is_first or self._are_kept or any(map(len, _records(batches))):
            return
        with suppress(KafkaException):
            if self._are_kept is None:
                found = group_commit(self._target)
                self._are_kept = found.offset == offset or bool(found.metadata)
            if not self._are_kept:
                self._commit(offset, metadata)

    def _commit(self, offset: int, metadata: str) -> None:
        if self._consumer is None:
            self._consumer = Consumer(
                client_config(
                    self._target.config, group_id=self._target.group, enable_auto_commit=False
                )
            )
        place = TopicPartition(self._target.topic, self._target.partition, offset, metadata)
        self._consumer.commit(offsets=[place], asynchronous=False)


def _records(batches: Sequence[OutputBatch]) -> Iterator[Records]:
    return chain.from_iterable(batch.records for batch in batches)
