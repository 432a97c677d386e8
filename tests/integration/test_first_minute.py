"""A newcomer's first minute: a learned model at work, which says what it learned from."""

import itertools
import re
import signal
from pathlib import Path

import msgspec
import pytest

from flows.numeric.time import NS_PER_S
from schemas import topics
from tests.oracle.expectation import Expected, Origin, expect
from tests.proof.checker import Outputs, check
from tests.proof.values import check_values
from tests.support.answers import answer_of
from tests.support.family import Family
from tests.support.kafka.tools import Message, read_topic
from tests.support.polling import free_ports, until
from tests.support.processes import Process


class Lineage(msgspec.Struct):
    """Which input a message came from."""

    partition: int
    offset: int


DEADLINE_S = 400.0  # some ten seconds of processor time, on a machine that may be busy


def outputs_of(config: dict[str, str], inputs: list[Message]) -> Outputs:
    """Return what came of these inputs; what came of later ones is left out."""
    origins = {(each.partition, each.offset) for each in inputs}

    def read(topic: str) -> list[Message]:
        found = read_topic(config, topic, at_least=len(inputs), deadline_s=120.0)
        rows = [(each, msgspec.json.decode(each.value, type=Lineage)) for each in found]
        return [each for each, row in rows if (row.partition, row.offset) in origins]

    dead = read_topic(config, topics.DEAD_LETTERS)
    return Outputs(read(topics.PREDICTIONS), read(topics.TICKS_FEATURES), dead)


def around(expected: Expected, moment_ns: int, count: int) -> frozenset[Origin]:
    """Return the last rows of each partition before a moment of event time, and the first after."""
    found: set[Origin] = set()
    for partition in {partition for partition, _ in expected.rows}:
        rows = [(at, row) for at, row in sorted(expected.rows.items()) if at[0] == partition]
        before = [at for at, row in rows if row.tick.ts_event_ns < moment_ns]
        after = [at for at, row in rows if row.tick.ts_event_ns >= moment_ns]
        found |= {*before[-count:], *after[:count]}
    return frozenset(found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_the_simulator_a_learned_model_serves_and_is_called_simulated(tmp_path: Path) -> None:
    [port] = free_ports(1)
    family = Family()
    settings = {
        "VOLTICK_API_PORT": str(port),
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        "VOLTICK_TARGETS": "volatility_spike",
        **family.settings,
    }
    with Process(["-m", "flows.local", "--feed", "simulate"], tmp_path, settings) as process:

        def score() -> dict:
            assert process.running, process.tail()
            return answer_of(port, "/scores/BTC-USD").get("scores", {}).get("volatility_spike", {})

        first = until(score, "a score", 90)
        assert first["variant"] == "zscore"  # nobody waits for the training
        until(lambda: score().get("variant") not in (None, "zscore"), "a learned model", DEADLINE_S)
        served = answer_of(port, "/version")["targets"]["volatility_spike"]
        assert served["provenance"] == "simulated"
        assert served["variant"] == "logreg"
        process.wait_for_log("a model trained on SIMULATED data is ready")
        assert family.living()
        check_the_past(process, port)
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait_exit(60) == 128 + signal.SIGTERM
        until(lambda: not family.living(), "all processes to end", 60)
        assert "Traceback" not in process.stderr


def check_the_past(process: Process, port: int) -> None:
    """Check that live ticks follow a history as if the flow had run all the time."""
    version = answer_of(port, "/version")
    past = version["history"]
    assert version["simulated"] is True
    assert past["origin"] == "simulated"
    from_ns, until_ns = past["from_ns"], past["until_ns"]
    assert until_ns - from_ns == 5_400 * NS_PER_S

    def truths() -> int:
        [point] = answer_of(port, "/quality?limit=1").get("points") or [{"models": []}]
        return max((model["count"] for model in point["models"]), default=0)

    until(lambda: truths() > 1_000, "live quality of the history", DEADLINE_S)
    assert answer_of(port, "/scores/BTC-USD")["warm"]
    shown = answer_of(port, "/scores/BTC-USD/history?limit=3000")["points"]
    assert shown[0]["ts_event_ns"] < from_ns + 60 * NS_PER_S
    in_past = [each["ts_event_ns"] for each in shown if each["ts_event_ns"] < until_ns]
    assert in_past == sorted(in_past)
    assert max(b - a for a, b in itertools.pairwise(in_past)) < 60 * NS_PER_S

    found = re.search(r"kafka=(127\.0\.0\.1:\d+)", process.stderr)
    assert found is not None
    config = {"bootstrap.servers": found[1]}
    raw = read_topic(config, topics.TICKS_RAW)
    expected = expect(raw)
    assert not expected.dead_letters
    assert not expected.duplicates
    rows = list(expected.rows.values())
    for symbol in ("BTC-USD", "ETH-USD"):
        own = [row for row in rows if row.tick.symbol == symbol]
        ids = [row.tick.trade_id for row in own if row.tick.trade_id is not None]
        assert ids == list(range(ids[0], ids[0] + len(own)))  # nothing is missing at the seam
        assert [row.gap for row in own] == [True] + [False] * (len(own) - 1)
        assert own[0].tick.ts_event_ns < from_ns + 60 * NS_PER_S
        assert own[-1].tick.ts_event_ns > until_ns
        assert all(row.tick.ts_recv_ns is None for row in own if row.tick.ts_event_ns < until_ns)
    outputs = outputs_of(config, raw)
    seam = around(expected, until_ns, 5)
    defects = itertools.chain(
        check(expected, outputs), check_values(expected, outputs.features, 1, 50, seam)
    )
    assert [str(each) for each in itertools.islice(defects, 5)] == []


def test_training_can_be_left_out(tmp_path: Path) -> None:
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models")}
    arguments = ["-m", "flows.local", "--feed", "simulate", "--no-api", "--no-train"]
    with Process([*arguments, "--duration", "8"], tmp_path, settings) as process:
        assert process.wait_exit(90) == 0, process.tail()
        assert "training" not in process.stderr
