"""Post an alert where a spike is expected: ``python -m flows.alerts``.

A consumer of its own, far from the pipeline's way. It begins at the end of ``predictions`` and
commits nothing: an alert about the past is worth nothing.
"""

import threading

import msgspec
import structlog
import typer

from flows import logs
from flows.alerting.decide import SpikeAlerts
from flows.alerting.follow import follow
from flows.alerting.message import MessageTemplate
from flows.alerting.post import Poster, RateLimit, Webhook
from flows.errors import ConfigurationError
from flows.host.command import run_command
from flows.host.signals import stop_on_first_signal
from flows.monitoring.alert_metrics import AlertMetrics
from flows.runtime.metrics import serve_metrics
from flows.settings import Settings, load_settings
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.predictions import Prediction

_PREDICTION = msgspec.json.Decoder(Prediction).decode

EXAMPLE = "Example: VOLTICK_ALERTS_URL=https://hooks.example.com/... python -m flows.alerts"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLE)
def run() -> None:
    """Post one JSON message for each symbol and target where a model decides that a spike comes.

    All settings come from the environment: VOLTICK_ALERTS_URL, _TEMPLATE, _COOLDOWN_S, _PER_MINUTE.
    """
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if settings.alerts_url is None:
        message = "VOLTICK_ALERTS_URL is not set; name the webhook that alerts are posted to"
        raise ConfigurationError(message)
    stop = threading.Event()
    stop_on_first_signal(stop)
    metrics = AlertMetrics()
    serve_metrics(metrics, settings, "alerts")
    poster = Poster(
        Webhook(settings.alerts_url.get_secret_value()),
        MessageTemplate.of(settings.alerts_template),
        RateLimit(settings.alerts_per_minute),
        lambda target, result: metrics.alerts.labels(target, result).inc(),
    )
    poster.start()
    try:
        _alert(settings, poster, metrics, stop)
    finally:
        poster.close()


def _alert(
    settings: Settings, poster: Poster, metrics: AlertMetrics, stop: threading.Event
) -> None:
    spikes = SpikeAlerts(settings.alerts_cooldown_s)
    structlog.get_logger().info("alerts ready", brokers=settings.kafka_bootstrap_servers)
    for values in follow(settings.kafka_config(), topics.PREDICTIONS, stop):
        metrics.predictions.inc(len(values))
        for value in values:
            prediction = decode_or_none(_PREDICTION, value)
            if prediction is not None:
                for alert in spikes.observe(prediction):
                    poster.put(alert)


if __name__ == "__main__":
    run_command(app)
