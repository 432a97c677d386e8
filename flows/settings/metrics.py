"""Settings of the metrics: where each process answers Prometheus."""

from pydantic import BaseModel, Field

from flows.settings.types import Host


def _own_port(variable: str, command: str) -> int | None:
    """Return the field of a program's own port, for runs beside others on one host."""
    field: int | None = Field(
        None,
        alias=variable,
        ge=0,
        le=65535,
        description=f"Port of `{command}` instead of `VOLTICK_METRICS_PORT`, so that all programs"
        " of a host can have one `.env`; 0 for none.",
    )
    return field


class MetricsSettings(BaseModel):
    """Where each process answers Prometheus."""

    metrics_host: Host = Field(
        "127.0.0.1",
        alias="VOLTICK_METRICS_HOST",
        description="Address on which flows, ingest and trainers answer Prometheus; `0.0.0.0` in a"
        " container, whose network alone reaches it. They ask for no password.",
    )
    metrics_port: int = Field(
        0,
        alias="VOLTICK_METRICS_PORT",
        ge=0,
        le=65535,
        description="Port on `VOLTICK_METRICS_HOST` where a flow answers Prometheus; 0 for none.",
    )
    ingest_metrics_port: int = Field(
        0,
        alias="VOLTICK_INGEST_METRICS_PORT",
        ge=0,
        le=65535,
        description="Port on `VOLTICK_METRICS_HOST` where ingest answers Prometheus at `/metrics`,"
        " and says at `/health` whether each feed is alive; 0 for none.",
    )
    outcomes_metrics_port: int | None = _own_port("VOLTICK_OUTCOMES_METRICS_PORT", "flows.outcomes")
    candles_metrics_port: int | None = _own_port("VOLTICK_CANDLES_METRICS_PORT", "flows.candles")
    archive_metrics_port: int | None = _own_port("VOLTICK_ARCHIVE_METRICS_PORT", "flows.archive")
    alerts_metrics_port: int | None = _own_port("VOLTICK_ALERTS_METRICS_PORT", "flows.alerts")
    trainer_metrics_port: int = Field(
        0,
        alias="VOLTICK_TRAINER_METRICS_PORT",
        ge=0,
        le=65535,
        description="Port on `VOLTICK_METRICS_HOST` where `training.retrain --every` answers"
        " Prometheus; 0 for none.",
    )
    traces: bool = Field(
        False,
        alias="VOLTICK_TRACES",
        description="Whether the pipeline sends a trace of each batch by OTLP (extra `otel`), and"
        " its latency histogram names them as exemplars. The standard `OTEL_` variables of the"
        " environment say where to and how many.",
    )
