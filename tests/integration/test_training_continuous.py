"""Continuous training on the stream's newest ticks: patient with too few, and all on record."""

import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from flows.feeds.simulator.market import simulate_history
from flows.scoring.registry import ModelStore
from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import Outgoing, create_topics, fill
from tests.support.polling import until
from tests.support.processes import Process
from training.reporting.history import MetricsHistory

TARGET = "volatility_spike"


def collect(config: Mapping[str, str], hours: float) -> None:
    """Write so many hours of a made-up market to the topic, as if they were received just now."""
    now_ns = time.time_ns()
    history = simulate_history(
        ["BTC-USD"], duration_s=int(hours * 3600), seed=3, end_ns=now_ns, rate_hz=3.0
    )
    fill(
        config,
        (
            Outgoing(0, tick.symbol.encode(), msgspec.json.encode(tick), now_ns // 1_000_000)
            for ticks in history
            for tick in ticks
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_waits_for_enough_ticks_then_trains_again_and_again(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    config = embedded_broker.client_config()
    create_topics(config, 1)
    collect(config, hours=0.1)
    store = ModelStore(tmp_path / "models")
    history = MetricsHistory(tmp_path / "history.ndjson")
    history.append({"from": "an earlier run"})
    arguments = ["--from", f"kafka:{topics.TICKS_RAW}", "--target", TARGET, "--models", "anchored"]
    often = ["--every", "1s", "--last", "6h", "--reset", "--history", str(history.path)]
    place = ["--publish", "--no-pictures", "--for-feed", "simulated"]
    settings = {**embedded_broker.environment(), "VOLTICK_MODEL_STORE": str(store.root)}
    with Process(
        ["-m", "training.retrain", *arguments, *often, *place], tmp_path, settings
    ) as process:

        def runs(kind: str) -> list[dict]:
            assert process.running, process.tail()
            return [entry for entry in history.read() if kind in entry]

        [first, *_] = until(lambda: runs("error"), "a run with too few ticks", 90)
        assert first["error"].startswith("too few ticks")
        assert first["sources"] == [f"kafka:{topics.TICKS_RAW}"]
        # Of a run that begins while they are written, anything may come.
        process.popen.send_signal(signal.SIGSTOP)
        collect(config, hours=3)
        process.popen.send_signal(signal.SIGCONT)
        until(lambda: len(runs("version")) >= 2, "two runs with a model", 200)
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait_exit(60) == 0, process.tail()
    entries = history.read()
    assert "from" not in entries[0]
    trained = [entry for entry in entries if "version" in entry]
    said = [json.loads(line)["version"] for line in process.stdout.splitlines()]
    assert said == [entry["version"] for entry in trained]
    assert all(entry["seconds"] > 0 for entry in entries)
    newest = store.aliases(TARGET)
    assert trained[-1]["version"] in {newest.champion, *newest.challengers}
    times = [entry["ts_ns"] for entry in entries]
    assert times == sorted(times)
