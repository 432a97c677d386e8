"""What the commands have in common that kill one flow again and again."""

import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import typer

from tests.proof.needs import require_apache
from tests.proof.restarts import Survivor
from tests.support.kafka.apache import ApacheKafka

Say = Callable[[str], None]


class Checked(Survivor, Protocol):
    """A flow whose output can be held against what it must be."""

    def check(self) -> int:
        """Return how much there is; AssertionError where anything is missing, twice or other."""


Flow = TypeVar("Flow", bound=Checked)


def prove(
    what: str,
    make: Callable[[ApacheKafka, str, Path], Flow],
    kill: Callable[[Flow, Say], None],
    facts: dict[str, object],
) -> NoReturn:
    """Start Apache Kafka, kill a flow, compare, and end with one JSON line and an exit code.

    Parameters
    ----------
    make, kill
        Make the flow, and kill it.
    facts
        For the line.
    """
    begin = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begin:6.1f} s] {text}\n")

    require_apache()
    folder = Path(tempfile.mkdtemp(prefix="voltick-proof-"))
    (folder / "broker").mkdir()
    say(f"{what}; output of every run in {folder}")
    with ApacheKafka(folder / "broker") as broker:
        flow = make(broker, f"proof-{uuid.uuid4().hex[:8]}", folder)
        try:
            kill(flow, say)
            facts = {**facts, "inputs": flow.total(), "outputs": flow.check()}
            problem = None
        except (AssertionError, TimeoutError, RuntimeError) as broken:
            problem = str(broken)
            say(problem)
    seconds = round(time.monotonic() - begin, 1)
    line = {"proof": what, **facts, "seconds": seconds, "problem": problem and problem[:500]}
    sys.stdout.write(json.dumps(line) + "\n")
    raise typer.Exit(1 if problem else 0)
