"""How a dataflow's process ends: seen from outside, in processes of their own."""

import signal
import textwrap
from pathlib import Path

import pytest

from flows.host.lossy_output import SAID_BY
from flows.runtime.process import StopRequest
from tests.support.polling import until
from tests.support.processes import Process, flow

FLOW = """
import threading
import time
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from flows.connectors.engine_errors import FailFastSink, FailFastSource
from flows.errors import FencedError
from flows.runtime.process import StopRequest, end_process, end_on_error, stop_on_signals

WHERE = {where!r}
STOP = StopRequest()

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
        if WHERE == "stop":
            time.sleep(600)
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
    stream = op.input("in", made, FailFastSource(Source(), end_process))
    stream = op.map("map", stream, end_on_error(step))
    op.output("out", stream, FailFastSink(Sink(), end_process, STOP.observe_sink))
    return made
"""


def probe(folder: Path, where: str, error: str, options: tuple[str, ...] = ()) -> Process:
    (folder / "probe.py").write_text(textwrap.dedent(FLOW.format(where=where, error=error)))
    return flow("probe", folder, {}, options=options)


@pytest.mark.parametrize("where", ["build", "source", "step", "sink"])
@pytest.mark.parametrize("options", [(), ("-w", "2")], ids=["alone", "threads"])
def test_an_operators_error_is_one_line(tmp_path: Path, where: str, options: tuple[str, ...]):
    with probe(tmp_path, where, "FencedError('a younger one owns it')", options) as process:
        assert process.wait_exit(60) == 3
        assert process.stderr == f"{SAID_BY}a younger one owns it\n"


def test_a_bug_shows_its_traceback_and_nothing_of_the_engine(tmp_path: Path):
    with probe(tmp_path, "step", "ValueError('oops')") as process:
        assert process.wait_exit(60) == 1
        assert "ValueError: oops" in process.stderr
        assert "panicked" not in process.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("options", [(), ("-w", "2")], ids=["alone", "threads"])
def test_a_signal_lets_the_sinks_close(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
):
    with probe(tmp_path, "nowhere", "ValueError()", options) as process:
        until(lambda: "wrote" in process.stdout, "the flow to run", 60.0)
        process.popen.send_signal(number)
        assert process.wait_exit(60) == 0
        assert "closed" in process.stdout
        assert "Traceback" not in process.stderr


def test_a_stop_that_hangs_before_everything_is_committed_is_a_failure(tmp_path: Path):
    with probe(tmp_path, "stop", "ValueError()") as process:
        until(lambda: "wrote" in process.stdout, "the flow to run", 60.0)
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait_exit(60) == 1
        [line] = [line for line in process.stderr.splitlines() if line.startswith(SAID_BY)]
        assert "did not stop within 8 s" in line


@pytest.mark.parametrize(
    ("changes", "closed"),
    [((), False), ((1,), False), ((1, 1, -1), False), ((1, 1, -1, -1), True)],
    ids=["none opened", "open", "one of two open", "all closed"],
)
def test_sinks_are_closed_once_all_that_were_opened_are(changes: tuple[int, ...], closed: bool):
    stop = StopRequest()
    for change in changes:
        stop.observe_sink(change)
    assert stop.sinks_closed is closed
