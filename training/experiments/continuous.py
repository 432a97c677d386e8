"""Continuous training: run, record, tidy, wait, again."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from flows.errors import LeakError, VoltickError
from schemas.training import TrainingResult
from training.reporting.history import MetricsHistory

if TYPE_CHECKING:
    from training.experiments.triggers import Cause

Run = Callable[[], tuple[TrainingResult, list[str]]]
"""Trains once; returns the result and the gate's reasons."""

Due = Callable[[], "Sequence[Cause]"]
"""Called before each run; returns why to train, nothing for not at all."""

Observe = Callable[[TrainingResult | Exception, float], None]
"""Called with how a run ended and the seconds it took."""


def run_continuously(
    run: Run,
    tidy: Callable[[], object] | None,
    history: MetricsHistory,
    sources: Sequence[str],
    *,
    every_s: float,
    stop: threading.Event,
    observe: Observe = lambda _ended, _seconds: None,
    due: Due | None = None,
) -> None:
    """Run until ``stop`` is set, at most once in ``every_s``.

    A run that is refused (too few ticks, a broker that is away) is recorded and tried again at the
    next turn. Old versions that cannot be removed, and a line of history that cannot be written,
    are a warning.

    Parameters
    ----------
    due
        Decides before each turn whether to run; None to run at every one.
    tidy
        Removes old versions after each published run; None to keep all.

    Raises
    ------
    LeakError
        An alarm went off: it is recorded, and training ends.
    """
    log = structlog.get_logger()
    while not stop.is_set():
        began = time.monotonic()
        causes = [] if due is None else due()
        if due is not None and not causes:
            stop.wait(every_s)
            continue
        entry: dict[str, Any] = {"ts_ns": time.time_ns(), "sources": list(sources)}
        if causes:
            entry["causes"] = [cause.text for cause in causes]
        try:
            result, reasons = run()
        except LeakError as error:
            observe(error, time.monotonic() - began)
            _append(history, entry | {"error": str(error)})
            raise
        except VoltickError as error:
            entry["error"] = str(error)
            observe(error, time.monotonic() - began)
            log.warning("no model this time", cause=str(error))
        else:
            observe(result, time.monotonic() - began)
            entry |= {**msgspec.to_builtins(result), "reasons": reasons}
            if tidy is not None:
                _tidy(tidy)
        entry["seconds"] = round(time.monotonic() - began, 3)
        _append(history, entry)
        stop.wait(max(0.0, every_s - (time.monotonic() - began)))


def _tidy(tidy: Callable[[], object]) -> None:
    try:
        tidy()
    except (VoltickError, OSError) as error:
        structlog.get_logger().warning("old versions stay for now", cause=str(error))


def _append(history: MetricsHistory, entry: dict[str, Any]) -> None:
    try:
        history.append(entry)
    except VoltickError as error:
        structlog.get_logger().warning("a run is missing in the history", cause=str(error))
