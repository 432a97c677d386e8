"""How a dataflow's process ends: in one clear line, at once, and never with a Rust backtrace.

The engine answers an exception with a panic of its worker and some sixty lines. An error in
a step, a source or a sink is therefore reported here, and the process ends without unwinding: what
was committed is out, what was not is done again by the next run.
"""

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn, TypeVar

import structlog

from flows.errors import VoltickError

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_ENDING = threading.Lock()

# In a cluster the engine waits for the other processes; this one's partitions are closed by then.
GRACE_S = 3.0


def exit_code_of(error: BaseException) -> int:
    """Return what the process exits with for this error."""
    return error.exit_code if isinstance(error, VoltickError) else 1


def report(error: BaseException) -> None:
    """Say on stderr what happened: one line where an operator can act, else the traceback."""
    if isinstance(error, VoltickError):
        text = f"error: {error}\n"
    else:
        text = "".join(traceback.format_exception(error))
    sys.stderr.flush()
    os.write(2, text.encode(errors="replace"))  # whole, whichever thread writes beside


def end_process(error: BaseException) -> NoReturn:
    """Report an error and end the process, from any thread; only the first error is reported."""
    _ENDING.acquire()  # never released: a second thread waits here until the process has ended
    report(error)
    os._exit(exit_code_of(error))


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
            sys.__excepthook__(kind, error, trace)
            return
        text = (
            f"error: the engine has ended ({error}); in a cluster another process has probably"
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


def stop_on_signals(stop: threading.Event) -> None:
    """On SIGINT, SIGTERM or SIGHUP let the sources end, so that the flow commits and exits.

    A second signal ends the process at once. Main thread only.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        structlog.get_logger().info("stopping", signal=signal.Signals(number).name)
        timer = threading.Timer(GRACE_S, os._exit, [0])
        timer.daemon = True
        timer.start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
