"""What all exactly-once flows share: settings to source and sink (wiring only)."""

import threading
from collections.abc import Callable, Sequence

from bytewax.dataflow import Dataflow

from flows import logs
from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.connectors.engine_errors import FailFastSink, FailFastSource
from flows.connectors.kafka.admin import DescribedTopic, ensure_topics
from flows.connectors.kafka.lineage import OutputTopic, main_output
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.sink import CommitObserver, TransactionalSink
from flows.connectors.kafka.source import CommittedSource, LagObserver
from flows.connectors.kafka.watchdog import Progress, watch
from flows.errors import VoltickError
from flows.runtime.process import (
    StopRequest,
    calm_collector,
    end_process,
    exit_code_of,
    explain_engine_panics,
    report,
    stop_on_signals,
)
from flows.settings import Settings, load_settings

# A transaction may be silent for its time-out before the sink gives up by itself.
STALL_BEYOND_TRANSACTION_S = 60.0


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
    try:
        settings = load_settings()
        logs.configure(settings.log_format, settings.log_level)
        explain_engine_panics()
        prepared = prepare(settings)
        stop = StopRequest()
        if prepared is settings:
            stop_on_signals(stop)
        return build(prepared, stop)
    except VoltickError as error:
        report(error)
        raise SystemExit(exit_code_of(error)) from None


class Endpoints:
    """Source and sink of one input topic; the broker is asked, nothing is read or written yet.

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
    ) -> None:
        self._settings = settings
        self._config = settings.kafka_config()
        self._group = group
        self._topic = topic
        self._stop = stop
        self._partitions = ensure_topics(
            self._config, topics, settings.partitions, settings.replication_factor
        )
        self._starts = plan_all(
            self._config,
            group,
            topic,
            self._partitions,
            accept_state_loss=settings.accept_state_loss,
            outputs=outputs,
            policy=settings.start,
        )
        self._writes = main_output(outputs)
        self._progress = Progress()

    @property
    def rebuild(self) -> int:
        """How many offsets are read again only to rebuild state."""
        return sum(start.emit_from - start.read_from for start in self._starts)

    @property
    def log_id(self) -> str | None:
        """Kafka's id of the input topic, which tells its offsets from those of an earlier one."""
        return self._starts[0].topic_id

    @property
    def anew(self) -> frozenset[int]:
        """Partitions whose earlier outputs came from another log, or from a part that is lost."""
        return frozenset(start.partition for start in self._starts if start.anew)

    def source(self, observe_lag: LagObserver) -> FailFastSource[RawBatch]:
        """Return the input, from the committed offsets on."""
        source = CommittedSource(
            self._config,
            self._group,
            self._topic,
            self._starts,
            self._settings.batch_size,
            self._stop,
            observe_lag,
            self._progress,
        )
        return FailFastSource(source, end_process)

    def sink(self, on_commit: CommitObserver) -> FailFastSink[OutputBatch]:
        """Return the output, in transactions with the input's offsets."""
        sink = TransactionalSink(
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
            self._writes,
        )
        if isinstance(self._stop, StopRequest):
            return FailFastSink(sink, end_process, self._stop.observe_sink)
        return FailFastSink(sink, end_process)

    def watch(self) -> None:
        """Start the watchdog, which ends the process when there is input and no progress."""
        calm_collector()
        limit_s = STALL_BEYOND_TRANSACTION_S + self._settings.transaction_timeout_ms / 1000
        topic = DescribedTopic(self._partitions, self.log_id)
        watch(self._config, self._topic, topic, self._progress, limit_s, end_process)
