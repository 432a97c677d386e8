"""Structured logs on stderr: key=value for people, JSON for machines. Secrets never."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

from flows.host.lossy_output import LossyOutput

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

HIDDEN = "***"
_SENSITIVE = r"password|secret|token|api_?key|credential|jaas"
_SECRET_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s\"'<>]*@", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"""(?P<name>[\w.-]*(?:{_SENSITIVE})[\w.-]*(?:\s*=\s*|["']\s*:\s*))"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,;})\]"']+)""",
    re.IGNORECASE,
)


def hide_in_text(text: str) -> str:
    """Blank credentials inside URLs, and values that are assigned to a name that sounds secret.

    That is ``name=value``, and ``'name': value`` as in a dictionary; a traceback may show both.
    """
    text = _URL_CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _ASSIGNED.sub(rf"\g<name>{HIDDEN}", text)


def hide_secrets(
    _logger: Any,
    _method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Blank secrets at any depth of an event (structlog processor)."""
    for key, value in event.items():
        event[key] = _hidden(key, value)
    return event


def _hidden(key: object, value: object) -> Any:
    if isinstance(key, str) and _SECRET_KEY.search(key):
        return HIDDEN
    if isinstance(value, str):
        return hide_in_text(value)
    if isinstance(value, Mapping):
        return {name: _hidden(name, each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(None, each) for each in value]
    if isinstance(value, BaseException):
        return hide_in_text(repr(value))
    return value


def _hide_last(_logger: Any, _method: str, line: Any) -> str:
    """Blank what became visible only as text: tracebacks, and objects that were formatted."""
    return hide_in_text(str(line))


def _over_status_line(_logger: Any, _method: str, line: Any) -> str:
    """Take the place of a status line that this or another process draws on the terminal."""
    return f"\r\x1b[2K{line}"


def configure(log_format: LogFormat = "console", level: LogLevel = "info") -> None:
    """Send structlog and the standard library's loggers to stderr, one event a line.

    A line that cannot be written is lost, and the next one that can says so.

    Parameters
    ----------
    log_format
        ``console`` for key=value, coloured on a terminal; ``json`` for one object a line.
    level
        Events below it are dropped.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output: Any = LossyOutput(sys.stderr)  # not all of a stream, but all that loggers use
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
            hide_secrets,
            structlog.processors.JSONRenderer(),
        ]
    else:
        closing = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
            ),
            _hide_last,
        ]
        if sys.stderr.isatty():
            closing.append(_over_status_line)
    structlog.configure(
        processors=[*shared, *closing],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *closing],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    # It reports every request, with its whole address.
    logging.getLogger("httpx").setLevel(max(threshold, logging.WARNING))


def silence() -> None:
    """Drop what this process logs through structlog from here on.

    For a process that has said why it ends and then ends its servers: what its own clients report
    of those is no news.
    """
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
