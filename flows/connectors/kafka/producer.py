"""The transactional producer of one partition, and what it is opened with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Producer, TopicPartition

from flows.connectors.kafka.client import BATCH_BYTES, BatchProducer, ClientConfig, client_config
from flows.connectors.kafka.positions import Start


class TransactionalProducer(BatchProducer, Protocol):
    """The part of ``confluent_kafka.Producer`` that writes in transactions."""

    def list_topics(self, topic: str, timeout: float) -> object: ...  # noqa: D102
    def init_transactions(self, timeout: float) -> None: ...  # noqa: D102
    def begin_transaction(self) -> None: ...  # noqa: D102
    def send_offsets_to_transaction(  # noqa: D102
        self, offsets: list[TopicPartition], metadata: object, timeout: float
    ) -> None: ...
    def commit_transaction(self, timeout: float) -> None: ...  # noqa: D102
    def abort_transaction(self, timeout: float) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Target:
    """The input partition whose offset is committed, and the longest silence of the broker.

    Attributes
    ----------
    start
        Where the run was planned to start; None to start where the group's commit is, or at 0.
    writes
        The flow's main output topic, noted beside each commit; None for none.
    batch_bytes
        The largest batch that every output topic takes.
    """

    config: ClientConfig
    group: str
    topic: str
    partition: int
    transaction_timeout_ms: int
    start: Start | None = None
    writes: str | None = None
    batch_bytes: int = BATCH_BYTES

    @property
    def transactional_id(self) -> str:
        """Fixed per group and partition."""
        return f"{self.group}-{self.partition}"

    @property
    def limit_s(self) -> float:
        """A transaction that is silent for longer is aborted by the broker anyway."""
        return self.transaction_timeout_ms / 1000


def open_producer(target: Target, on_delivery: Callable[[Any, Any], None]) -> TransactionalProducer:
    """Return a producer that has not fenced anybody yet."""
    options = client_config(
        target.config,
        transactional_id=target.transactional_id,
        transaction_timeout_ms=target.transaction_timeout_ms,
        # Else the client forgets brokers that are all away at once, and a transaction that was to
        # send its offset to one of them waits for the forgotten one (librdkafka 2.16).
        metadata_recovery_strategy="none",
        # The default of 100 ms is what a commit would take: the broker needs some milliseconds to
        # finish the transaction before, and the next is refused until then.
        retry_backoff_ms=1,
        retry_backoff_max_ms=8,
        # A commit sends what lingers at once. Before it only full batches go: while one is on its
        # way, the client's thread polls without a pause once others have lingered for long enough.
        linger_ms=100,
        batch_num_messages=100_000,
        batch_size=target.batch_bytes,
        message_max_bytes=8 * 1024 * 1024,
        queue_buffering_max_messages=500_000,
        queue_buffering_max_kbytes=256 * 1024,
        compression_type="lz4",
        delivery_report_only_error=True,
    )
    options["on_delivery"] = on_delivery  # the client's own name, with an underscore
    producer: TransactionalProducer = Producer(options)
    return producer
