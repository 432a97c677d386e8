"""Kill a flow again and again while its input goes on, by a seeded plan."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tests.support.polling import pause, until
from tests.support.processes import Process

_STARTING_S = 6.0
_PATIENCE_S = 90.0
_PART = 400
_PARTS_PER_S = 2


class Survivor(Protocol):
    """A flow that is killed, its input and its output."""

    def write_some(self, first: int, end: int) -> None:
        """Write input by numbers."""

    def killable(self, name: str) -> Process:
        """Return, not started yet, the flow."""

    def progress(self) -> int:
        """Return how much of the input is done for good."""

    def total(self) -> int:
        """Return how much input there is."""

    def wait_done(self, process: Process) -> None:
        """Wait until all input is done."""


def survive(
    flow: Survivor,
    *,
    kills: int,
    seed: int,
    say: Callable[[str], None] = lambda _what: None,
    between: Callable[[random.Random], None] = lambda _rng: None,
) -> None:
    """Kill a flow so many times under load, then let it do the rest and end in peace.

    A kill falls anywhere into a start (a third of them), at once after some progress, or up to a
    quarter of a second later.

    Parameters
    ----------
    between
        Called after each kill.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable by seed
    with _input(flow) as parts:
        for number in range(kills):
            with flow.killable(f"run-{number}") as process:
                how = _wait_for_the_moment(flow, process, rng)
                process.kill()
            between(rng)
            say(f"killed {how}, {flow.progress()} of {flow.total()} done")
    with flow.killable("last") as process:
        # Something is left to do, so that it has started when it is asked to end.
        flow.write_some(len(parts) * _PART, (len(parts) + 1) * _PART)
        flow.wait_done(process)
        process.terminate()
        assert process.wait_exit(30) == 0, process.tail()


def _wait_for_the_moment(flow: Survivor, process: Process, rng: random.Random) -> str:
    if rng.random() < 1 / 3:
        seconds = rng.uniform(0.0, _STARTING_S)
        pause(seconds)
        return f"{seconds:.1f} s after its start"
    wanted = flow.progress() + rng.randint(1, 4 * _PART)

    def moved() -> bool:
        assert process.running, process.tail()
        return flow.progress() >= wanted

    until(moved, "some progress", _PATIENCE_S)
    pause(rng.choice((0.0, rng.uniform(0.0, 0.25))))
    return "amid its work"


@contextmanager
def _input(flow: Survivor) -> Iterator[list[int]]:
    """Write input all the while; gives the numbers of the parts that were written."""
    stop = threading.Event()
    broken: list[BaseException] = []
    parts: list[int] = []

    def write() -> None:
        try:
            while not stop.wait(1 / _PARTS_PER_S):
                flow.write_some(len(parts) * _PART, (len(parts) + 1) * _PART)
                parts.append(len(parts))
        except BaseException as error:
            broken.append(error)
            raise

    writer = threading.Thread(target=write, name="input", daemon=True)
    writer.start()
    try:
        yield parts
    finally:
        stop.set()
        writer.join(_PATIENCE_S)
    assert not broken, broken
