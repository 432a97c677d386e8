"""Source and sink of one archived topic (wiring only)."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows.codec.batch import RawBatch
from flows.connectors.engine_errors import (
    FailFastSink,
    FailFastSource,
    FailFastWorkersSink,
    FailFastWorkersSource,
)
from flows.connectors.kafka.admin import DescribedTopic
from flows.connectors.kafka.group import GroupSink, GroupSource, Place, Places, Share
from flows.connectors.kafka.lag_reports import LagReports
from flows.connectors.kafka.owned_partition import Owned
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.source import CommittedSource, LagObserver
from flows.connectors.kafka.watchdog import Progress, watch
from flows.connectors.parquet.planning import Plan, plan_topic
from flows.connectors.parquet.sink import ArchivePartition, ArchiveSink, FlushObserver
from flows.connectors.parquet.storage import Storage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.connectors.partition_thread import ErrorHandler
from flows.runtime.process import StopRequest, end_process
from flows.runtime.shared_out import GroupMetadata, open_reader, shares_out, worker_place
from flows.settings import Settings

STALL_BEYOND_INTERVAL_S = 120.0
"""How long the storage may be silent, beyond the interval, before the flow ends."""

REST_S = 0.05
"""Between two looks at a partition without new messages: what waits a minute to be written needs no
hurry, and there are many partitions."""


@dataclass(frozen=True, slots=True)
class Archiving:
    """What all topics of an archive have in common.

    Attributes
    ----------
    name
        Names the clients, and with the topic the consumer group; nothing is committed.
    stop
        When set, the sources end.
    on_flush
        Called by a partition's thread after each run of messages that was written.
    """

    settings: Settings
    name: str
    storage: Storage
    stop: threading.Event
    on_flush: FlushObserver


class ArchiveEndpoints:
    """Source and sink of one topic; nothing is read or written yet.

    Parameters
    ----------
    observe_lag
        Called with partition and lag (messages) after each batch; with None for a partition that is
        read no more.
    """

    def __init__(self, archiving: Archiving, plan: Plan, observe_lag: LagObserver) -> None:
        self.topic = plan.topic
        self.lag: dict[int, int] = {}
        """Messages not read yet, by partition."""
        self._archiving = archiving
        self._plan = plan
        self._observe_lag = observe_lag
        self._lags = LagReports(self._note_lag)
        self._progress = Progress()
        self._places: Places[RawBatch] | None = None

    def ends(self) -> tuple[Source[RawBatch], Sink[Any]]:
        """Return the topic, from where the archive ends, and the archive."""
        archiving = self._archiving
        stop = archiving.stop
        observe = stop.observe_sink if isinstance(stop, StopRequest) else lambda _change: None
        if shares_out(archiving.settings):
            self._places = Places(self._place)
            source = GroupSource(self._places, stop, REST_S)
            return (
                FailFastWorkersSource(source, end_process),
                FailFastWorkersSink(GroupSink(self._places), end_process, observe),
            )
        return (
            FailFastSource(self._source(), end_process),
            FailFastSink(self._sink(), end_process, observe),
        )

    def share(self) -> Share:
        """Return what this process owns of the topic."""
        if self._places is not None:
            return self._places.share()
        owned = [Owned(each, rebuilding=False) for each in list(self._progress.position)]
        return Share(owned, joined=True, since_s=None)

    def watch(self) -> None:
        """Start the watchdog, which ends the process when there is input and no progress."""
        settings = self._archiving.settings
        watch(
            settings.kafka_config(),
            self.topic,
            DescribedTopic(len(self._plan.beginnings), self._plan.topic_id),
            self._progress,
            STALL_BEYOND_INTERVAL_S + settings.archive_interval_s,
            end_process,
        )

    def _source(self) -> CommittedSource:
        settings = self._archiving.settings
        return CommittedSource(
            settings.kafka_config(),
            self._archiving.name,
            self.topic,
            self._plan.starts(),
            settings.batch_size,
            self._archiving.stop,
            self._note_lag,
            self._progress,
            rest_s=REST_S,
        )

    def _sink(self) -> ArchiveSink:
        archiving = self._archiving
        return ArchiveSink(
            archiving.storage,
            self.topic,
            self._plan.beginnings,
            archiving.settings.archive_interval_s,
            archiving.settings.archive_rows,
            archiving.on_flush,
            end_process,
            self._progress,
        )

    def _place(self, worker: int) -> Place[RawBatch]:
        settings, name = self._archiving.settings, self._archiving.name
        return worker_place(
            worker,
            settings,
            f"{name}-{self.topic}",
            self.topic,
            self._progress,
            self._take,
            open_reader(settings, name, self.topic, self._lags, self._progress),
        )

    def _take(
        self,
        partition: int,
        metadata: GroupMetadata,
        on_open: Callable[[Start], None],
        on_error: ErrorHandler,
    ) -> ArchivePartition:
        del metadata  # the archive's state is the lock: nothing is committed to Kafka
        archiving = self._archiving
        writer = ArchiveWriter(
            archiving.storage,
            self.topic,
            partition,
            self._plan.beginnings[partition],
            lambda: self._plan_anew(partition),
        )
        return ArchivePartition(
            writer,
            archiving.settings.archive_interval_s,
            archiving.settings.archive_rows,
            archiving.on_flush,
            on_error,
            self._progress,
            lambda: on_open(Start(partition, writer.floor, writer.floor)),
        )

    def _plan_anew(self, partition: int) -> Beginning:
        archiving = self._archiving
        plan = plan_topic(
            archiving.settings.kafka_config(),
            archiving.name,
            archiving.storage,
            self.topic,
            len(self._plan.beginnings),
            accept_state_loss=archiving.settings.accept_state_loss,
            only=[partition],
        )
        return plan.beginnings[partition]

    def _note_lag(self, partition: int, lag: int | None) -> None:
        if lag is None:
            self.lag.pop(partition, None)
        else:
            self.lag[partition] = lag
        self._observe_lag(partition, lag)
