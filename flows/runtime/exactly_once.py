"""What all exactly-once flows share: settings to source and sink (wiring only)."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows import logs
from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.connectors.engine_errors import (
    FailFastSink,
    FailFastSource,
    FailFastWorkersSink,
    FailFastWorkersSource,
)
from flows.connectors.kafka.admin import DescribedTopic, batch_limit, ensure_topics
from flows.connectors.kafka.group import GroupSink, GroupSource, Places, Share, figures
from flows.connectors.kafka.lineage import OutputTopic, main_output
from flows.connectors.kafka.owned_partition import Owned
from flows.connectors.kafka.permissions import require_allowed
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.sink import CommitObserver, TransactionalSink
from flows.connectors.kafka.source import CommittedSource, LagObserver
from flows.connectors.kafka.watchdog import Progress, watch
from flows.errors import ConfigurationError, VoltickError
from flows.host.memory import share_arenas
from flows.monitoring.served import Health
from flows.numeric.background import BackgroundKernel
from flows.runtime.clock_steps import end_when_set_back
from flows.runtime.process import (
    StopRequest,
    calm_collector,
    end_process,
    exit_code_of,
    explain_engine_panics,
    report,
    stop_on_signals,
)
from flows.runtime.shared_out import Shared, shares_out
from flows.settings import Settings, load_settings

# A transaction may be silent for its time-out before the sink gives up by itself.
STALL_BEYOND_TRANSACTION_S = 60.0

NOTHING_TO_FOLLOW = (
    "VOLTICK_STANDBY=true follows the partitions of other members of a group, and here is none: set"
    " VOLTICK_ASSIGNMENT=group on a broker of your own, without -i and -a, or leave it out"
)


def launch(
    build: Callable[[Settings, threading.Event], Dataflow],
    prepare: Callable[[Settings], Settings] = lambda settings: settings,
) -> Dataflow:
    """Return the dataflow for this process's environment; on an error end with one line.

    Parameters
    ----------
    build
        Makes it from the settings and the event that stops its sources.
    prepare
        Starts missing services and returns the settings that name them; it then handles signals.
    """
    share_arenas()
    try:
        settings = load_settings()
        logs.configure(settings.log_format, settings.log_level)
        explain_engine_panics()
        prepared = prepare(settings)
        end_when_set_back(end_process)
        stop = StopRequest()
        if prepared is settings:
            stop_on_signals(stop)
        return build(prepared, stop)
    except VoltickError as error:
        report(error)
        raise SystemExit(exit_code_of(error)) from None


class Endpoints:
    """Source and sink of one input topic; the broker is asked, nothing is read or written yet.

    The partitions are shared out by the consumer group, or all of them are this process's, or
    cluster's, by ``VOLTICK_ASSIGNMENT``.

    Parameters
    ----------
    group
        Consumer group; with the partition it names the transactional producers.
    topic
        The input.
    topics
        All topics that must exist, the input among them.
    stop
        When set, the source ends.
    outputs
        What the flow writes, and how it names its origin.
    follow_when
        For a flow whose state can be followed (``VOLTICK_STANDBY``): tells whether that goes at
        full speed already.
    kernels
        What the state is rebuilt with: a member joins others once they are compiled.
    idle
        Those of the topics that nothing is written to by these settings.

    Raises
    ------
    VoltickError
        The broker or the log does not allow it.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topic: str,
        topics: Sequence[str],
        stop: threading.Event,
        outputs: Sequence[OutputTopic] = (),
        follow_when: Callable[[], bool] | None = None,
        kernels: Sequence[BackgroundKernel[Any]] = (),
        idle: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._kernels = kernels
        self._follow_when = follow_when if settings.standby else None
        if self._follow_when is not None and not self.shares_out:
            raise ConfigurationError(NOTHING_TO_FOLLOW)
        self._config = settings.kafka_config()
        self._group = group
        self._topic = topic
        self._stop = stop
        self._outputs = outputs
        self._partitions = ensure_topics(
            self._config, topics, settings.partitions, settings.replication_factor
        )
        written = [name for name in topics if name not in (topic, *idle)]
        require_allowed(self._config, [topic], written)
        self._batch_bytes = batch_limit(self._config, written)
        self._starts = plan_all(
            self._config,
            group,
            topic,
            self._partitions,
            accept_state_loss=settings.accept_state_loss,
            outputs=outputs,
            policy=settings.start,
        )
        self._progress = Progress()
        self._lag: dict[int, int] = {}
        self._places: Places[OutputBatch] | None = None

    @property
    def shares_out(self) -> bool:
        """Whether the consumer group shares the partitions out."""
        return shares_out(self._settings)

    @property
    def rebuild(self) -> int:
        """How many offsets a process that owns everything reads again only to rebuild state."""
        return sum(start.emit_from - start.read_from for start in self._starts)

    @property
    def log_id(self) -> str | None:
        """Kafka's id of the input topic, which tells its offsets from those of an earlier one."""
        return self._starts[0].topic_id

    @property
    def anew(self) -> frozenset[int]:
        """Partitions whose earlier outputs came from another log, or from a part that is lost."""
        return frozenset(start.partition for start in self._starts if start.anew)

    def ends(
        self, observe_lag: LagObserver, on_commit: CommitObserver
    ) -> tuple[Source[RawBatch], Sink[Any]]:
        """Return the input, from the committed offsets on, and the output.

        Parameters
        ----------
        observe_lag
            Called with partition and lag (messages) after each batch; with None for a partition
            that is read no more.
        on_commit
            Called by a partition's thread after each commit; must be quick.
        """
        noting = self._noting(observe_lag)
        observe = self._stop.observe_sink if isinstance(self._stop, StopRequest) else _ignore
        if self.shares_out:
            places = self._shared(noting, on_commit).places()
            self._places = places
            source: Source[RawBatch] = FailFastWorkersSource(
                GroupSource(places, self._stop), end_process
            )
            return source, FailFastWorkersSink(GroupSink(places), end_process, observe)
        source = FailFastSource(self._committed_source(noting), end_process)
        return source, FailFastSink(self._transactional_sink(on_commit), end_process, observe)

    def share(self) -> Share:
        """Return what this process owns."""
        if self._places is not None:
            return self._places.share()
        positions = dict(self._progress.position)
        starts = [start for start in self._starts if start.partition in positions]
        owned = [
            Owned(start.partition, positions[start.partition] < start.emit_from) for start in starts
        ]
        return Share(owned, joined=True, since_s=None)

    def figures(self) -> tuple[int, int, float]:
        """Return how many partitions are owned, how many of them rebuilt, and for how long (s)."""
        return figures([self.share()])

    def followed(self) -> list[tuple[int, int, int]]:
        """Return partition, offset and lag of each partition of others that is followed."""
        return [(each.partition, each.offset, each.lag) for each in self.share().followed]

    def health(self) -> Health:
        """Return what this process owns, and how far behind each partition is."""
        share = self.share()
        owned = sorted(each.partition for each in share.owned)
        lags = dict(self._lag)
        details = {
            "assigned": owned,
            "rebuilding": sorted(each.partition for each in share.owned if each.rebuilding),
            "lag_messages": {str(each): lags.get(each) for each in owned},
            "rebalance_age_s": share.since_s,
            "standby_offset": {str(each.partition): each.offset for each in share.followed},
            "standby_lag_messages": {str(each.partition): each.lag for each in share.followed},
        }
        return Health(share.joined, details)

    def watch(self) -> None:
        """Start the watchdog, which ends the process when there is input and no progress."""
        calm_collector()
        limit_s = STALL_BEYOND_TRANSACTION_S + self._settings.transaction_timeout_ms / 1000
        topic = DescribedTopic(self._partitions, self.log_id)
        watch(self._config, self._topic, topic, self._progress, limit_s, end_process)

    def _shared(self, observe_lag: LagObserver, on_commit: CommitObserver) -> Shared:
        return Shared(
            settings=self._settings,
            config=self._config,
            group=self._group,
            topic=self._topic,
            partitions=self._partitions,
            outputs=self._outputs,
            progress=self._progress,
            observe_lag=observe_lag,
            on_commit=on_commit,
            batch_bytes=self._batch_bytes,
            follow_when=self._follow_when,
            kernels=self._kernels,
        )

    def _committed_source(self, observe_lag: LagObserver) -> CommittedSource:
        return CommittedSource(
            self._config,
            self._group,
            self._topic,
            self._starts,
            self._settings.batch_size,
            self._stop,
            observe_lag,
            self._progress,
        )

    def _transactional_sink(self, on_commit: CommitObserver) -> TransactionalSink:
        return TransactionalSink(
            self._config,
            self._group,
            self._topic,
            self._partitions,
            self._settings.commit_interval_ms,
            self._settings.transaction_timeout_ms,
            on_commit,
            end_process,
            self._progress,
            self._starts,
            main_output(self._outputs),
            self._batch_bytes,
        )

    def _noting(self, observe_lag: LagObserver) -> LagObserver:
        def note(partition: int, lag: int | None) -> None:
            if lag is None:
                self._lag.pop(partition, None)
            else:
                self._lag[partition] = lag
            observe_lag(partition, lag)

        return note


def _ignore(_change: int) -> None:
    return
