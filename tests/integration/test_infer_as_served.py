"""``python -m training.infer`` of a recording is what the flow served for it, tick by tick."""

import json
from collections import defaultdict
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from schemas import topics
from schemas.predictions import Prediction
from tests.support.captures import capture
from tests.support.embedded import EmbeddedBroker
from tests.support.frames import exchange_ticker, write_capture
from tests.support.kafka.tools import read_topic
from tests.support.processes import run

SPIKE = "volatility_spike"
RECORDINGS = [
    "coinbase-exchange_10pairs_20210417_31s",
    "coinbase-exchange_btc_20251112_165s",
    "binance_btcusdt_20240808_11min",
]
ALIKE = ("ts_event_ns", "mid", "warm", "late", "gap", "restart")


SUBSCRIBED_AGAIN = json.dumps(
    {
        "type": "subscriptions",
        "channels": [{"name": "ticker", "product_ids": ["BTC-USD", "ETH-USD"]}],
    }
)


def troubled(path: Path) -> Path:
    """Write a recording of two symbols with a repeat, late ticks, a gap and a beginning anew."""
    frames: list[str] = []
    for number in range(900):
        frames.append(exchange_ticker(number))
        if number % 3 == 0:
            frames.append(exchange_ticker(number, "ETH-USD", trade_id=500 + number // 3))
        if number == 300:
            frames.append(frames[-1])
    late = "2023-11-14T22:28:00.000000Z"
    frames += [exchange_ticker(number, time=late) for number in range(900, 903)]
    frames.append(SUBSCRIBED_AGAIN)
    frames += [exchange_ticker(number) for number in range(910, 1_000)]
    for second in range(40):  # too old to be late
        then = f"2023-11-14T22:20:{second:02d}.000000Z"
        frames.append(exchange_ticker(1_000 + second, time=then))
    return write_capture(path, frames)


def served(
    recording: Path, broker: EmbeddedBroker, group: str, folder: Path
) -> dict[str, list[Prediction]]:
    """Replay a recording through the whole system; return predictions by symbol, in order."""
    arguments = ["--feed", f"replay:{recording}", "--speed", "max", "--until-end"]
    settings = {
        **broker.environment(),
        "VOLTICK_GROUP": group,
        "VOLTICK_MODEL_STORE": str(folder / "models"),
    }
    done = run(["-m", "flows.local", *arguments], folder, settings, 120.0)
    assert done.returncode == 0, done.stderr
    count = json.loads(done.stdout.splitlines()[-1])["predictions"]
    found = defaultdict(list)
    for message in read_topic(broker.client_config(), topics.PREDICTIONS, at_least=count):
        prediction = msgspec.json.decode(message.value, type=Prediction)
        found[prediction.symbol].append(prediction)
    assert sum(map(len, found.values())) == count > 0
    return found


def inferred(recording: Path, model: str, folder: Path) -> dict[str, list[dict]]:
    """Score a recording offline; return rows by symbol, in order."""
    out = folder / "scores.parquet"
    arguments = ["--from", str(recording), "--model", model, "--out", str(out)]
    settings = {"VOLTICK_MODEL_STORE": str(folder / "models")}
    done = run(["-m", "training.infer", *arguments], folder, settings, 120.0)
    assert done.returncode == 0, done.stderr
    found = defaultdict(list)
    for row in pq.read_table(out).to_pylist():
        found[row["symbol"]].append(row)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["troubled", *RECORDINGS])
def test_scores_offline_are_those_that_were_served(
    name: str, embedded_broker: EmbeddedBroker, group: str, tmp_path: Path
) -> None:
    recording = troubled(tmp_path / "own.gz") if name == "troubled" else capture(name)
    online = served(recording, embedded_broker, group, tmp_path)
    champion = next(iter(online.values()))[0].scores[SPIKE]
    offline = inferred(recording, f"{champion.model}@{champion.version}", tmp_path)
    assert offline.keys() == online.keys()
    for symbol, predictions in online.items():
        assert len(offline[symbol]) == len(predictions)
        for row, prediction in zip(offline[symbol], predictions, strict=True):
            score = prediction.scores[SPIKE]
            assert row["score"] == pytest.approx(score.score, abs=1e-6)
            assert row["decision"] == score.decision
            assert [row[each] for each in ALIKE] == [getattr(prediction, each) for each in ALIKE]
    if name == "troubled":
        bitcoin = online["BTC-USD"]
        assert {each.late for each in bitcoin} == {each.gap for each in bitcoin} == {False, True}
        assert sum(each.restart for each in bitcoin) == 2
        assert len(bitcoin) == 900 + 3 + 90 + 40
