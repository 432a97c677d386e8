"""Structured logs on stderr: key=value for people, JSON for machines. Secrets never."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

HIDDEN = "***"
_SECRET_KEY = re.compile(r"password|secret|token|api_key|credential", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE)


def hide_secrets(
    _logger: Any,
    _method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Blank values whose key sounds secret, and credentials inside URLs (structlog processor)."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = _URL_CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", value)
    return event


def configure(log_format: LogFormat = "console", level: LogLevel = "info") -> None:
    """Send structlog and the standard library's loggers to stderr, one event a line.

    Parameters
    ----------
    log_format
        ``console`` for key=value, coloured on a terminal; ``json`` for one object a line.
    level
        Events below it are dropped.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    closing: list[structlog.types.Processor]
    if log_format == "json":
        # Local variables would put settings, and with them secrets, into the log.
        transform = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        closing = [
            structlog.processors.ExceptionRenderer(transform),
            structlog.processors.JSONRenderer(),
        ]
    else:
        closing = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
            )
        ]
    structlog.configure(
        processors=[*shared, *closing],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *closing],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
