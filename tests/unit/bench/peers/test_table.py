"""The table says what the ledger holds, and admits what it does not."""

from pathlib import Path
from typing import Any

import pytest

from tests.bench.peers.catalogue import LIMIT, OURS, PEERS
from tests.bench.peers.environments import REQUIREMENTS
from tests.bench.peers.ledger import Done, Ledger
from tests.bench.peers.plot import draw
from tests.bench.peers.table import goals, report, version_of

CLEAN = {"recovered_s": [1.0, 2.0], "ticks": 5_000, "lost": 0, "twice": 0, "different": 0}


def done(peer: str, measure: str, figures: dict[str, Any], **more: Any) -> Done:
    told = {"symbols": 4, "round": 0, "load": 1.0, **more}
    return Done(peer=peer, measure=measure, figures=figures, **told)


def rate(ticks_per_s: float, cpu_us: float = 5.0, rss: int = 200) -> dict[str, Any]:
    return {
        "ticks_per_s": ticks_per_s,
        "cpu_us_per_tick": cpu_us,
        "peak_rss_mb": rss,
        "first_output_s": 3.0,
    }


def p99(ms: float) -> dict[str, float]:
    return {"p50": 1.0, "p95": 2.0, "p99": ms, "p99.9": 2 * ms}


@pytest.fixture(name="ledger")
def a_ledger() -> Ledger:
    ledger = Ledger(None)
    for number, ours in enumerate((100_000, 120_000, 400_000)):
        ledger.add(done(OURS, "throughput", rate(ours, cpu_us=4.0), round=number))
    ledger.add(done(LIMIT, "throughput", rate(300_000)))
    ledger.add(done("quix", "throughput", rate(10_000)))
    ledger.add(done("pathway", "throughput", rate(60_000, cpu_us=30.0)))
    ledger.add(done("flink", "throughput", {}, error="Traceback\nno room | left"))
    ledger.add(done(OURS, "latency", {"100": p99(9.0), "5000": p99(20.0)}))
    ledger.add(done("quix", "latency", {"100": p99(90.0), "5000": None}))
    ledger.add(done(OURS, "recovery", CLEAN))
    ledger.add(done("quix", "recovery", {**CLEAN, "twice": 7}))
    return ledger


def test_rates_are_medians_and_ranked(ledger: Ledger) -> None:
    lines = report(ledger).splitlines()
    ranked = [line for line in lines if "exactly once" in line or "none |" in line]
    assert "120,000" in next(line for line in lines if line.startswith("| Voltick |"))
    assert ranked[0].startswith("| pass-through")
    assert "12.00" in next(line for line in lines if line.startswith("| Quix Streams 3"))


def test_who_falls_behind_or_does_not_run_is_said(ledger: Ledger) -> None:
    text = report(ledger)
    assert "| Quix Streams | 1.0 / 2.0 / 90 / 180 | falls behind |" in text
    assert "PyFlink did not run here: no room \\| left" in text


def test_goals_are_met_or_missed_as_measured(ledger: Ledger) -> None:
    found = {line.split(" | ")[0]: line for line in goals(ledger).splitlines()}
    assert found["| Quix Streams: at least 6 times its ticks/s"].endswith("| 12.0 | met |")
    assert found["| Pathway: at least 4 times its ticks/s"].endswith("| 2.0 | missed |")
    assert found["| PyFlink: at least 20 times its ticks/s"].endswith("| - | unknown |")
    assert found["| Less processor time a tick than each"].endswith("| met |")
    assert found["| Less memory than each"].endswith("| missed |")
    lowest = next(line for name, line in found.items() if name.startswith("| Lowest p99"))
    assert lowest.endswith("| 100/s: 9 ms, Quix Streams 90 | met |")
    only = next(line for name, line in found.items() if name.startswith("| The only one"))
    assert only.endswith("| Voltick is; so is nobody else | met |")


def test_another_that_loses_nothing_makes_us_not_the_only_one(ledger: Ledger) -> None:
    ledger.add(done("quix", "recovery", CLEAN))
    assert goals(ledger).endswith("so is Quix Streams | missed |")


def test_a_ledger_is_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ledger.ndjson"
    first = done("quix", "throughput", rate(1.0))
    Ledger(path).add(first)
    again = Ledger(path)
    assert again.has(first.key)
    assert not again.has(("quix", "throughput", 4, 1))
    assert list(again) == [first]


def test_the_picture_is_drawn(tmp_path: Path, ledger: Ledger) -> None:
    draw(ledger, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.module])
def test_every_peer_is_pinned(name: str) -> None:
    peer = PEERS[name]
    assert version_of(peer)
    lines = (REQUIREMENTS / f"{peer.requirements}.txt").read_text("utf-8").splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    assert (REQUIREMENTS.parent / "engines" / f"{peer.module}.py").exists()
