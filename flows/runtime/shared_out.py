"""The endpoints of a flow whose partitions a consumer group shares out (wiring only)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from flows.codec.outputs import OutputBatch
from flows.connectors.kafka.client import ClientConfig, reader_config
from flows.connectors.kafka.group import Place, Places
from flows.connectors.kafka.lineage import OutputTopic, main_output
from flows.connectors.kafka.membership import Member, Membership
from flows.connectors.kafka.ownership import Ownerships
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.sink import CommitObserver, PartitionWriter
from flows.connectors.kafka.source import LagObserver, PartitionReader
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import ErrorHandler
from flows.runtime.process import end_process
from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    """What is shared out, and how its partitions are read and written.

    Attributes
    ----------
    partitions
        Of the topic.
    """

    settings: Settings
    config: ClientConfig
    group: str
    topic: str
    partitions: int
    outputs: Sequence[OutputTopic]
    progress: Progress
    observe_lag: LagObserver
    on_commit: CommitObserver

    def places(self) -> Places[OutputBatch]:
        """Return the places of this process's workers; nothing is joined yet."""
        return Places(self._place)

    def _place(self, worker: int) -> Place[OutputBatch]:
        def take(
            partition: int, on_open: Callable[[Start], None], on_error: ErrorHandler
        ) -> PartitionWriter:
            return self._writer(partition, member.metadata, on_open, on_error)

        ownerships: Ownerships[OutputBatch] = Ownerships(
            take, self._reader, self.progress, end_process
        )
        settings = self.settings
        membership = Membership(
            settings.group_protocol, settings.session_timeout_ms, settings.instance_id
        )
        member = Member(
            self.config,
            self.group,
            self.topic,
            membership.of_worker(worker),
            ownerships,
            ownerships.is_turning,
            end_process,
        )
        return Place(member, ownerships)

    def _writer(
        self,
        partition: int,
        metadata: Callable[[], object],
        on_open: Callable[[Start], None],
        on_error: ErrorHandler,
    ) -> PartitionWriter:
        settings = self.settings
        target = Target(
            self.config,
            self.group,
            self.topic,
            partition,
            settings.transaction_timeout_ms,
            writes=main_output(self.outputs),
        )
        writer = TransactionalWriter(
            target, plan=lambda: self._plan(partition), group_metadata=metadata
        )
        return PartitionWriter(
            writer,
            settings.commit_interval_ms / 1000,
            self.on_commit,
            on_error,
            self.progress,
            lambda: on_open(writer.start),
        )

    def _plan(self, partition: int) -> Start:
        [start] = plan_all(
            self.config,
            self.group,
            self.topic,
            self.partitions,
            accept_state_loss=self.settings.accept_state_loss,
            outputs=self.outputs,
            policy=self.settings.start,
            only=[partition],
        )
        return start

    def _reader(self, start: Start, epoch: int) -> PartitionReader:
        consumer = Consumer(reader_config(self.config, self.group))
        consumer.assign([TopicPartition(self.topic, start.partition, start.read_from)])
        return PartitionReader(
            consumer,
            self.topic,
            start,
            self.settings.batch_size,
            threading.Event(),  # the worker ends, not a partition
            self.observe_lag,
            self.progress,
            epoch=epoch,
        )
