"""``python -m bytewax.run flows.candles``: ticks to candles of 1 s and 1 min (wiring only).

source -> build -> sink, one batch of one partition at a time. Reads ``ticks.raw`` alone and writes
``candles``; a candle belongs to the input offset that closed it, and is written in one transaction
with it: exactly once, like the pipeline's predictions.
"""

import threading

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows.connectors.kafka.lineage import CANDLES_OUTPUTS
from flows.features import feature_kernel
from flows.monitoring.candle_metrics import CandleMetrics
from flows.numeric.background import BackgroundKernel
from flows.runtime.exactly_once import Endpoints, launch
from flows.runtime.metrics import serve_metrics
from flows.runtime.process import end_on_error, refuse_without_engine
from flows.settings import Settings
from flows.stages.candles import CandleStage
from schemas import topics

WRITTEN = (topics.TICKS_RAW, topics.CANDLES)


def flow() -> Dataflow:
    """Return the flow for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    return launch(build)


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the dataflow; the broker is asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker or the log does not allow it.
    """
    # The pipeline's kernel: on one machine one of the two compiles it, for both.
    kernel = BackgroundKernel(feature_kernel())
    # Its own group: it has its own position, and its own transactional producers.
    group = f"{settings.group}-candles"
    endpoints = Endpoints(
        settings, group, topics.TICKS_RAW, WRITTEN, stop, CANDLES_OUTPUTS, kernels=(kernel,)
    )
    if endpoints.rebuild:
        kernel.begin()
    metrics = CandleMetrics()
    metrics.ownership.read = endpoints.figures
    serve_metrics(metrics, settings, "candles", endpoints.health)
    stage = CandleStage(settings.allowed, metrics, kernel, settings.max_symbols)
    dataflow = Dataflow("voltick_candles")
    source, sink = endpoints.ends(metrics.partitions.observe_lag, lambda _commit: None)
    raw = op.input("ticks", dataflow, source)
    candles = op.map("build", raw, end_on_error(stage))
    op.output("write", candles, sink)
    endpoints.watch()
    structlog.get_logger().info(
        "candles ready",
        brokers=settings.kafka_bootstrap_servers,
        group=group,
        rebuild=endpoints.rebuild,
    )
    return dataflow


if __name__ == "__main__":
    refuse_without_engine("flows.candles")
