"""Answer Prometheus where the settings say."""

from collections.abc import Callable
from typing import Literal

import structlog

from flows.host.server_names import is_loopback
from flows.monitoring.served import Health, ServedMetrics
from flows.runtime.ports import check_port
from flows.settings import Settings

Program = Literal["ingest", "outcomes", "candles", "archive", "alerts"]
"""Programs with a port of their own."""


def serve_metrics(
    metrics: ServedMetrics,
    settings: Settings,
    program: Program | None = None,
    health: Callable[[], Health] | None = None,
) -> None:
    """Answer Prometheus, unless the port is 0.

    Parameters
    ----------
    program
        Whose own port is taken where it is set; ``VOLTICK_METRICS_PORT`` otherwise.
    health
        If given, answers ``/health`` too.

    Raises
    ------
    PortTakenError
        The port cannot be listened on.
    ConfigurationError
        The host is none of this machine's addresses.
    """
    port, setting = port_of(settings, program)
    if not port:
        return
    host = settings.metrics_host
    check_port(host, port, setting=setting, host_variable="VOLTICK_METRICS_HOST")
    if not is_loopback(host):
        structlog.get_logger().info("metrics are reachable from other machines", host=host)
    metrics.serve(port, health, host, settings.allowed_hosts)


def port_of(settings: Settings, program: Program | None) -> tuple[int, str]:
    """Return a program's port, and the variable that names it, without ``_PORT``."""
    own: int | None = None
    if program is not None:
        own = getattr(settings, f"{program}_metrics_port")
    if program is None or own is None:
        return settings.metrics_port, "VOLTICK_METRICS"
    return own, f"VOLTICK_{program.upper()}_METRICS"
