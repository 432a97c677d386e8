"""A recording through the whole system: it ends by itself and its summary adds up."""

import json
from pathlib import Path

import pytest

from tests.conftest import Broker
from tests.support.captures import capture
from tests.support.frames import exchange_ticker, write_capture
from tests.support.processes import Process

KEYS = [
    "frames",
    "tick_frames",
    "control",
    "dead_frames",
    "ticks",
    "dead_letters",
    "dead_letters_by_reason",
    "late",
    "duplicates",
    "gaps",
    "restarts",
    "predictions",
    "seconds",
    "symbols",
]
SYMBOL_KEYS = ["predictions", "warm", "score_min", "score_median", "score_max", "distinct_scores"]


def replay(path: Path, folder: Path, *options: str, **settings: str) -> dict:
    """Run the command and return its last line, decoded and checked for what always holds."""
    arguments = ["-m", "flows.local", "--feed", f"replay:{path}", "--speed", "max", "--until-end"]
    settings = {"VOLTICK_MODEL_STORE": str(folder / "models"), **settings}
    with Process([*arguments, *options], folder, settings) as process:
        assert process.wait_exit(120) == 0, process.tail()
        summary = json.loads(process.stdout.splitlines()[-1])
    assert list(summary) == KEYS
    assert all(list(each) == SYMBOL_KEYS for each in summary["symbols"].values())
    assert summary["frames"] == (
        summary["tick_frames"] + summary["control"] + summary["dead_frames"]
    )
    assert summary["predictions"] == sum(s["predictions"] for s in summary["symbols"].values())
    return summary


def test_a_recording_is_scored_to_its_last_tick(tmp_path: Path) -> None:
    ticks = [exchange_ticker(n) for n in range(1, 900)]
    frames = [
        '{"type":"subscriptions","channels":[]}',
        *ticks[:400],
        "no json at all",
        '{"type":"l2update","product_id":"BTC-USD"}',
        *ticks[400:],
    ]
    summary = replay(write_capture(tmp_path / "own.gz", frames), tmp_path)
    assert summary["frames"] == len(frames)
    assert summary["tick_frames"] == summary["ticks"] == summary["predictions"] == len(ticks)
    assert (summary["control"], summary["dead_frames"], summary["dead_letters"]) == (2, 1, 1)
    assert summary["dead_letters_by_reason"] == {"broken_frame": 1}
    assert (summary["late"], summary["duplicates"], summary["restarts"]) == (0, 0, 0)
    bitcoin = summary["symbols"]["BTC-USD"]
    assert bitcoin["predictions"] == len(ticks)
    assert 0 < bitcoin["warm"] < len(ticks)
    assert bitcoin["score_min"] < bitcoin["score_median"] < bitcoin["score_max"]
    assert bitcoin["distinct_scores"] > 10


def test_a_loop_ends_after_its_duration(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "own.gz", [exchange_ticker(n) for n in range(1, 50)])
    summary = replay(path, tmp_path, "--loop", "--duration", "1")
    assert summary["ticks"] > 49
    assert summary["duplicates"] == 0
    assert summary["predictions"] == summary["ticks"]


def test_against_a_broker_of_ones_own_each_run_counts_its_own(
    broker: Broker, group: str, tmp_path: Path
) -> None:
    settings = {**broker.environment(), "VOLTICK_GROUP": group}
    ticks = [exchange_ticker(n) for n in range(1, 300)]
    first = replay(write_capture(tmp_path / "a.gz", ticks), tmp_path, **settings)
    assert (first["predictions"], first["duplicates"], first["dead_letters"]) == (299, 0, 0)
    again = [exchange_ticker(300), "{", *ticks[-20:]]
    second = replay(write_capture(tmp_path / "b.gz", again), tmp_path, **settings)
    assert (second["ticks"], second["dead_letters"], second["dead_frames"]) == (21, 1, 1)
    assert (second["duplicates"], second["predictions"]) == (20, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "coinbase-exchange_btc_20251112_165s",
        "coinbase-exchange_10pairs_20210417_31s",
        "coinbase-advanced_btc-eth_20260809_25s",
        "binance_btcusdt_20240808_11min",
    ],
)
def test_real_recordings(name: str, tmp_path: Path) -> None:
    summary = replay(capture(name), tmp_path)
    assert summary["ticks"] > 0
    for symbol in summary["symbols"].values():
        assert symbol["score_median"] is not None
        assert symbol["warm"] < 2 or symbol["distinct_scores"] > 1
