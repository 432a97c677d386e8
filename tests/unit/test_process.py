"""How a dataflow's process ends: seen from outside, in processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.polling import until

ROOT = Path(__file__).resolve().parents[2]

FLOW = """
import threading
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from flows.connectors.guard import GuardedSink, GuardedSource
from flows.errors import FencedError
from flows.process import end_process, guarded, stop_on_signals

WHERE = {where!r}
STOP = threading.Event()

def fail_at(where):
    if where == WHERE:
        raise {error}

class Reader(StatefulSourcePartition):
    def next_batch(self):
        if STOP.is_set():
            raise StopIteration
        fail_at("source")
        return [("0", 1)]
    def snapshot(self):
        return None

class Source(FixedPartitionedSource):
    def list_parts(self):
        return ["0", "1"]
    def build_part(self, step_id, for_part, resume_state):
        fail_at("build")
        return Reader()

class Writer(StatefulSinkPartition):
    def write_batch(self, values):
        fail_at("sink")
        print("wrote", flush=True)
    def snapshot(self):
        return None
    def close(self):
        print("closed", flush=True)

class Sink(FixedPartitionedSink):
    def list_parts(self):
        return ["0", "1"]
    def build_part(self, step_id, for_part, resume_state):
        return Writer()

def step(item):
    fail_at("step")
    return item

def flow():
    stop_on_signals(STOP)
    made = Dataflow("probe")
    stream = op.input("in", made, GuardedSource(Source(), end_process))
    stream = op.map("map", stream, guarded(step))
    op.output("out", stream, GuardedSink(Sink(), end_process))
    return made
"""


def start(folder: Path, where: str, error: str, *options: str) -> subprocess.Popen[str]:
    (folder / "probe.py").write_text(textwrap.dedent(FLOW.format(where=where, error=error)))
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "bytewax.run", "probe", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
            stdout=out,
            stderr=err,
            text=True,
        )


@pytest.mark.parametrize("where", ["build", "source", "step", "sink"])
@pytest.mark.parametrize("options", [(), ("-w", "2")], ids=["alone", "threads"])
def test_an_operators_error_is_one_line(tmp_path: Path, where: str, options: tuple[str, ...]):
    process = start(tmp_path, where, "FencedError('a younger one owns it')", *options)
    assert process.wait(60) == 3
    assert (tmp_path / "err").read_text() == "error: a younger one owns it\n"


def test_a_bug_shows_its_traceback_and_nothing_of_the_engine(tmp_path: Path):
    process = start(tmp_path, "step", "ValueError('oops')")
    assert process.wait(60) == 1
    said = (tmp_path / "err").read_text()
    assert "ValueError: oops" in said
    assert "panicked" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("options", [(), ("-w", "2")], ids=["alone", "threads"])
def test_a_signal_lets_the_sinks_close(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
):
    process = start(tmp_path, "nowhere", "ValueError()", *options)
    until(lambda: "wrote" in (tmp_path / "out").read_text(), "the flow to run")
    process.send_signal(number)
    assert process.wait(60) == 0
    assert "closed" in (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "err").read_text()
