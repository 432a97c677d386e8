"""What a signal asks for, done in a thread and never where the signal interrupted the program.

Python runs a signal's handler in the main thread, between any two steps of whatever it does there.
A handler that needs a lock which the main thread holds at that moment waits for ever: the lock of
a ``threading.Event`` that is being waited for, of the log, of a child process's bookkeeping.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__  # Windows has no SIGHUP
)
"""The signals by which a terminal, a container or a person ends a process."""


def on_stop_signals(act: Callable[[signal.Signals], None]) -> None:
    """Call ``act`` with each stop signal that arrives, one after another, in a thread of its own.

    A hang-up that ``nohup`` had ignored stays ignored: the process is to outlive its terminal. What
    a shell's ``&`` had ignored, an interrupt, is obeyed. Main thread only.
    """
    # Its put may interrupt a put or a get of the same thread, by its documentation.
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handle(number: int, _frame: FrameType | None) -> None:
        arrived.put(number)

    def work() -> None:
        while True:
            act(signal.Signals(arrived.get()))

    threading.Thread(target=work, name="signals", daemon=True).start()
    for number in STOP_SIGNALS:
        if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def stop_on_first_signal(
    stop: threading.Event, then: Callable[[], object] = lambda: None, *, said: str = "stopping"
) -> None:
    """Set an event by the first stop signal; a second one ends the process at once.

    Main thread only.

    Parameters
    ----------
    then
        Called once the event is set.
    said
        What the log says then.
    """

    def act(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        structlog.get_logger().info(said, signal=number.name)
        then()

    on_stop_signals(act)
