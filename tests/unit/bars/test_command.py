"""The command: options, what it tells, exit codes, and processes that are killed or overlap."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.bars.store import BarStore, Market
from flows.store.snapshot import open_archive, take_snapshot
from tests.support import bar_servers
from tests.support.docs import ROOT
from tests.support.processes import Process
from tests.support.rest_server import Reply, Request, RestServer

FIRST_MS = 1_769_904_000_000  # 2026-02-01
MINUTES = 4_000
BARS = bar_servers.market(FIRST_MS, MINUTES, without=(10, 11))
KNOWN = bar_servers.Market({"BTCUSDT": BARS, "BTC-USD": BARS})
SPAN = ["--from", "2026-02-01", "--to", "2026-02-03T18:40"]
LIMIT_S = 170


def started(server: RestServer, archive: Path, *options: str) -> "subprocess.Popen[str]":
    environment: Mapping[str, str] = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "VOLTICK_BINANCE_REST_URL": server.url,
        "VOLTICK_COINBASE_REST_URL": server.url,
        "VOLTICK_YAHOO_URL": server.url,
    }
    command = [sys.executable, "-m", "flows.backfill", "--archive", str(archive), *options]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=archive.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(server: RestServer, archive: Path, *options: str) -> tuple[int, str, str]:
    process = started(server, archive, *options)
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def told(server: RestServer, archive: Path, *options: str) -> dict[str, Any]:
    code, out, err = run(server, archive, *options, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@contextmanager
def stalling() -> Iterator[tuple[RestServer, threading.Event, threading.Event]]:
    """Yield a server that waits at the third request, what says that it does, and what ends it."""
    reached, go_on = threading.Event(), threading.Event()
    honest = bar_servers.binance(KNOWN)

    def answer(request: Request) -> Reply:
        if len(server.requests) == 3:
            reached.set()
            go_on.wait(LIMIT_S)
        return honest(request)

    with RestServer(answer) as server:
        yield server, reached, go_on


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.rglob("*.parquet")}


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_torn_and_two_at_once_finish_it(tmp_path: Path) -> None:
    options = ("--venue", "binance", "--symbols", "BTC-USDT", *SPAN)
    with stalling() as (server, reached, go_on):
        first = started(server, tmp_path / "killed", *options)
        assert reached.wait(LIMIT_S)
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=LIMIT_S)
        go_on.set()
        stored = BarStore(tmp_path / "killed").count(Market("binance", "BTC-USDT", "1m"))
        assert 0 < stored < MINUTES - 2

        both = [started(server, tmp_path / "killed", *options, "--json") for _ in range(2)]
        results = [json.loads(each.communicate(timeout=LIMIT_S)[0]) for each in both]
        assert sum(result["new"] for result in results) + stored == MINUTES - 2
        assert [result["total"] for result in results][-1] <= MINUTES - 2

        clean = told(server, tmp_path / "clean", *options)
    assert clean["new"] == clean["total"] == MINUTES - 2
    [market] = clean["markets"]
    assert market["holes"] == [
        {"from": "2026-02-01T00:10:00Z", "to": "2026-02-01T00:12:00Z", "bars": 2}
    ]
    assert content(tmp_path / "killed") == content(tmp_path / "clean")


@pytest.mark.slow
def test_an_interrupted_run_says_what_is_kept(tmp_path: Path) -> None:
    options = ("--venue", "binance", "--symbols", "BTC-USDT", "--archive", "kept", *SPAN)
    with stalling() as (server, reached, go_on):
        settings = {"VOLTICK_BINANCE_REST_URL": server.url}
        with Process(["-m", "flows.backfill", *options], tmp_path, settings) as process:
            assert reached.wait(LIMIT_S)
            process.interrupt()
            code = process.wait_exit(LIMIT_S)
            go_on.set()
    assert code == 130
    assert process.stderr == "voltick: interrupted; what came so far is stored\n"
    assert BarStore(tmp_path / "kept").count(Market("binance", "BTC-USDT", "1m")) > 0


@pytest.mark.slow
def test_an_unknown_symbol_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    options = ("--venue", "coinbase", "--symbols", "NO-USD,BTC-USD", *SPAN)
    with RestServer(bar_servers.coinbase(KNOWN)) as server:
        code, out, err = run(server, tmp_path / "archive", *options)
    assert code == 1
    assert "NO-USD: coinbase answers 404: NotFound" in out
    assert f"{MINUTES - 2:,}" in out
    assert "BTC-USD: no bars from 2026-02-01T00:10:00Z to 2026-02-01T00:12:00Z (2)" in out
    assert err == ""


@pytest.mark.slow
def test_what_cannot_be_done_is_one_line_with_the_cure(tmp_path: Path) -> None:
    with RestServer(bar_servers.coinbase(KNOWN)) as server:
        options = ("--venue", "coinbase", "--symbols", "BTC-USD", "--last", "2d")
        code, out, err = run(server, tmp_path / "archive", *options, "--interval", "2m")
    assert (code, out) == (2, "")
    assert err == (
        "voltick: coinbase has no bars of '2m'; --interval is one of 1m, 5m, 15m, 1h, 6h, 1d\n"
    )


@pytest.mark.slow
def test_a_run_can_end_with_a_report_of_its_markets(tmp_path: Path) -> None:
    options = ("--venue", "binance", "--symbols", "BTC-USDT", *SPAN, "--report", "out/report.pdf")
    with RestServer(bar_servers.binance(KNOWN)) as server:
        code, _out, err = run(server, tmp_path / "archive", *options)
    assert (code, err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["report-001.png", "report-002.png", "report.pdf"]
    assert not (tmp_path / "archive" / "reports").exists()


@pytest.mark.slow
def test_a_run_that_stored_bars_ends_with_a_report_in_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    options = ("--venue", "binance", "--symbols", "BTC-USDT", *SPAN)
    with RestServer(bar_servers.binance(KNOWN)) as server:
        code, out, err = run(server, archive, *options)
        assert (code, err) == (0, "")
        drawn = archive / "reports" / "backfill-binance-1m.pdf"
        assert out.endswith(f"report: {drawn}\n")
        names = sorted(path.name for path in drawn.parent.iterdir())
        assert names == [f"{drawn.stem}-001.png", f"{drawn.stem}-002.png", drawn.name]

        first_ns = drawn.stat().st_mtime_ns
        code, out, _err = run(server, archive, *options)  # nothing new
        assert (code, "report" in out) == (0, False)
        assert drawn.stat().st_mtime_ns == first_ns
    snapshot = take_snapshot(open_archive(archive))
    assert (len(snapshot.files["bars"]), snapshot.foreign) == (3, [])
