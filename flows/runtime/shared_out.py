"""The endpoints of a flow whose partitions a consumer group shares out (wiring only)."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, TopicPartition

from flows.codec.outputs import OutputBatch
from flows.connectors.kafka.assigned import Assigned
from flows.connectors.kafka.client import ClientConfig, reader_config
from flows.connectors.kafka.group import Owning, Place, Places
from flows.connectors.kafka.lag_reports import LagReports
from flows.connectors.kafka.lineage import OutputTopic, main_output
from flows.connectors.kafka.membership import Member, Membership
from flows.connectors.kafka.owner_offsets import GroupOffsets
from flows.connectors.kafka.ownership import Ownerships
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.readiness import JoinWhenReady, MayJoin, at_once, group_members
from flows.connectors.kafka.sink import CommitObserver, PartitionWriter
from flows.connectors.kafka.source import LagObserver, PartitionReader, Read
from flows.connectors.kafka.standby import FOLLOWED_BATCH, Standby
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import ErrorHandler, PartitionThread
from flows.numeric.background import BackgroundKernel
from flows.runtime.cluster import cluster_words
from flows.runtime.process import end_process
from flows.settings import Settings

Item = TypeVar("Item", bound=Owning)
GroupMetadata = Callable[[], object]
# Starts the thread of a partition's writer, which reports its start, or what ended it.
TakeAsMember = Callable[
    [int, GroupMetadata, Callable[[Start], None], ErrorHandler], PartitionThread[Item, Any]
]


def shares_out(settings: Settings) -> bool:
    """Return whether the consumer group shares the partitions out."""
    return settings.assignment == "group" and not cluster_words(sys.argv, os.environ)


def worker_place(
    worker: int,
    settings: Settings,
    group: str,
    topic: str,
    progress: Progress,
    take: TakeAsMember[Item],
    read: Read,
    partitions: int = 0,
    standby: Standby | None = None,
    assigned: Assigned | None = None,
    may_join: MayJoin = at_once,
) -> Place[Item]:
    """Return the membership of a worker and what it owns; nothing is joined yet.

    Parameters
    ----------
    partitions
        Of the topic; with ``standby`` alone.
    standby
        Follows those that the process does not own; None where nothing does.
    assigned
        Of all workers of the process; None where it has one.
    may_join
        Tells whether a member may join the group now.
    """

    def take_as_member(
        partition: int, on_open: Callable[[Start], None], on_error: ErrorHandler
    ) -> PartitionThread[Item, Any]:
        return take(partition, member.metadata, on_open, on_error)

    ownerships: Ownerships[Item] = Ownerships(
        take_as_member,
        read,
        progress,
        end_process,
        partitions=partitions,
        standby=standby,
        worker=worker,
        assigned=assigned,
    )
    membership = Membership(
        settings.group_protocol, settings.session_timeout_ms, settings.instance_id
    )
    member = Member(
        settings.kafka_config(),
        group,
        topic,
        membership.of_worker(worker),
        ownerships,
        ownerships.is_turning,
        end_process,
        may_join,
    )
    return Place(member, ownerships)


def open_reader(
    settings: Settings,
    group: str,
    topic: str,
    lags: LagReports | None,
    progress: Progress,
    most: int | None = None,
) -> Read:
    """Return what opens a reader of a partition at a start, for an epoch.

    Parameters
    ----------
    lags
        Of all workers of the process; None where nobody is told.
    most
        Messages in a batch, if fewer than ``VOLTICK_BATCH_SIZE``.
    """
    batch_size = min(settings.batch_size, most or settings.batch_size)
    config = settings.kafka_config()

    def read(start: Start, epoch: int) -> PartitionReader:
        consumer = Consumer(reader_config(config, group))
        consumer.assign([TopicPartition(topic, start.partition, start.read_from)])
        return PartitionReader(
            consumer,
            topic,
            start,
            batch_size,
            threading.Event(),  # the worker ends, not a partition
            None if lags is None else lags.of_reader(start.partition),
            progress,
            epoch=epoch,
        )

    return read


@dataclass(frozen=True, slots=True)
class Shared:
    """What is shared out, and how its partitions are read and written.

    Attributes
    ----------
    partitions
        Of the topic.
    batch_bytes
        The largest batch that every output topic takes.
    follow_when
        Tells whether states can be followed at full speed already; None where nothing is followed.
    kernels
        What a state is rebuilt with; where others are there, they are compiled before it joins.
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
    batch_bytes: int
    follow_when: Callable[[], bool] | None = None
    kernels: Sequence[BackgroundKernel[Any]] = ()

    def places(self) -> Places[OutputBatch]:
        """Return the places of this process's workers; nothing is joined yet."""
        assigned = Assigned()
        lags = LagReports(self.observe_lag)
        may_join = self._may_join()
        return Places(lambda worker: self._place(worker, assigned, lags, may_join))

    def _may_join(self) -> MayJoin:
        def prepare() -> None:
            for kernel in self.kernels:
                kernel.begin()

        return JoinWhenReady(
            prepare,
            lambda: all(kernel.settled for kernel in self.kernels),
            lambda: group_members(self.config, self.group),
        )

    def _place(
        self, worker: int, assigned: Assigned, lags: LagReports, may_join: MayJoin
    ) -> Place[OutputBatch]:
        return worker_place(
            worker,
            self.settings,
            self.group,
            self.topic,
            self.progress,
            self._writer,
            open_reader(self.settings, self.group, self.topic, lags, self.progress),
            self.partitions,
            self._standby(),
            assigned,
            may_join,
        )

    def _standby(self) -> Standby | None:
        """Return what follows the partitions that a worker does not own."""
        if self.follow_when is None:
            return None
        settings, group, topic = self.settings, self.group, self.topic
        offsets = GroupOffsets(
            self.config,
            group,
            topic,
            self.partitions,
            accept_state_loss=settings.accept_state_loss,
        )
        # A progress of its own: whether others stand still is theirs to watch.
        read = open_reader(settings, group, topic, None, Progress(), FOLLOWED_BATCH)
        return Standby(offsets, read, self.follow_when, end_process)

    def _writer(
        self,
        partition: int,
        metadata: GroupMetadata,
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
            batch_bytes=self.batch_bytes,
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
