"""How a dataflow's process ends: in one clear line, at once, and never with a Rust backtrace.

The engine answers an exception with a panic of its worker and some sixty lines. An error in
a step, a source or a sink is therefore reported here, and the process ends without unwinding: what
was committed is out, what was not is done again by the next run.
"""

import contextlib
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, TypeVar

from flows.errors import ConfigurationError, StopError, VoltickError
from flows.host.lossy_output import SAID_BY
from flows.host.signals import stop_on_first_signal
from flows.logs import hide_in_text

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_ENDING = threading.Lock()

CLOSED_GRACE_S = 3.0
"""How long a stopped process waits for the engine once its sinks are closed, seconds: in a cluster
the engine waits for the other processes."""

STOP_LIMIT_S = 8.0
"""How long a stop may take, seconds; less than the ten that Docker waits before it kills."""

_LOOK_EVERY_S = 0.05


def exit_code_of(error: BaseException) -> int:
    """Return what the process exits with for this error."""
    return error.exit_code if isinstance(error, VoltickError) else 1


def report(error: BaseException) -> None:
    """Say on stderr what happened: one line where an operator can act, else the traceback."""
    if isinstance(error, VoltickError):
        text = f"{SAID_BY}{error}\n"
    else:
        text = "".join(traceback.format_exception(error))
    text = hide_in_text(text)
    # A log that takes nothing keeps no process alive.
    with contextlib.suppress(OSError):
        sys.stderr.flush()
        os.write(2, text.encode(errors="replace"))  # whole, whichever thread writes beside


def end_process(error: BaseException) -> NoReturn:
    """Report an error and end the process, from any thread; only the first error is reported."""
    _ENDING.acquire()  # never released: a second thread waits here until the process has ended
    report(error)
    os._exit(exit_code_of(error))


def refuse_without_engine(flow: str) -> NoReturn:
    """End a process that runs a flow's module by itself, which would do nothing and look well."""
    error = ConfigurationError(
        f"{flow} is a dataflow, which the engine runs: python -m bytewax.run {flow}"
    )
    report(error)
    sys.exit(error.exit_code)


def end_on_error(step: Callable[[_In], _Out]) -> Callable[[_In], _Out]:
    """Wrap a step of the dataflow so that an error in it ends the process."""

    def call(item: _In) -> _Out:
        try:
            return step(item)
        except BaseException as error:
            end_process(error)

    return call


def explain_engine_panics() -> None:
    """Report an engine panic in one line; it happens when another process of its cluster ends."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if kind.__name__ != "PanicException":
            shown = "".join(traceback.format_exception(kind, error, trace))
            sys.stderr.write(hide_in_text(shown))
            return
        text = (
            f"{SAID_BY}the engine has ended ({error}); in a cluster another process has probably"
            " ended: start all of them again\n"
        )
        sys.stderr.write(text)

    sys.excepthook = hook


def calm_collector() -> None:
    """Run the garbage collector rarely, and never over objects made at start-up.

    Batches are made of thousands of small objects and of no cycles; with the collector's defaults
    a fifth of the flow's time goes into walking over them in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


class StopRequest(threading.Event):
    """The event that stops a flow's sources, and whether its sinks have closed since."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._opened = False
        self._open = 0

    def observe_sink(self, change: int) -> None:
        """Count a sink's partition that was opened (1) or closed (-1)."""
        with self._lock:
            self._opened = True
            self._open += change

    @property
    def sinks_closed(self) -> bool:
        """True once there were sinks and all of them have closed: everything is committed."""
        with self._lock:
            return self._opened and self._open == 0


def stop_on_signals(stop: StopRequest) -> None:
    """On SIGINT, SIGTERM or SIGHUP let the sources end, so that the flow commits and exits.

    A second signal ends the process at once. A stop that does not come to an end exits with 0 where
    all sinks have closed, and with 1 and one line where one has not. Main thread only.
    """
    limit = threading.Thread(target=_end_a_stop, args=(stop,), name="stop-limit", daemon=True)
    stop_on_first_signal(stop, limit.start)


def _end_a_stop(stop: StopRequest) -> None:
    limit_s = time.monotonic() + STOP_LIMIT_S
    closed_s: float | None = None
    while time.monotonic() < limit_s:
        if stop.sinks_closed:
            closed_s = closed_s or time.monotonic()
            if time.monotonic() - closed_s >= CLOSED_GRACE_S:
                os._exit(0)
        time.sleep(_LOOK_EVERY_S)
    if stop.sinks_closed:
        os._exit(0)
    message = (
        f"the flow did not stop within {STOP_LIMIT_S:g} s, so not everything is committed; the next"
        " start does it again"
    )
    end_process(StopError(message))
