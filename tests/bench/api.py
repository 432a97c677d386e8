"""Reads of latest scores per second of one core: the API's process beside a load generator.

Redis gets new scores meanwhile as from the pipeline. What is counted is the processor time of the
API's process, so that a busy machine changes little. Another tree's API can take turns with this
one's in the same run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from flows.codec.outputs import Latest
from flows.connectors.redis.latest import LatestWriter
from tests.support.api import prediction
from tests.support.embedded import Valkey
from tests.support.polling import free_ports
from tests.support.processes import ROOT, Process

CONNECTIONS = 16
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD")
UPDATES_HZ = 20.0
AIM_PER_CORE_S = 5_000


def run(seconds: float, rounds: int, beside: Path | None) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    trees = {"this": ROOT} | ({} if beside is None else {"beside": beside.resolve()})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory(prefix="voltick-api-") as name:
        folder = Path(name)
        with Valkey(folder / "valkey") as valkey, _updates(valkey.url):
            for _ in range(rounds):
                for tree_name, tree in trees.items():
                    found[tree_name].append(_measure(folder, tree, valkey.url, seconds))
    medians = {
        name: {key: round(statistics.median(each[key] for each in rows), 1) for key in rows[0]}
        for name, rows in found.items()
    }
    return {
        "bench": "api",
        "aim_per_core_s": AIM_PER_CORE_S,
        "connections": CONNECTIONS,
        "load_after": round(os.getloadavg()[0], 1),
        "medians": medians,
        "runs": found,
    }


class _updates:  # noqa: N801 - used like a function
    """Writes new scores of every symbol while the block lasts."""

    def __init__(self, url: str) -> None:
        self._writer = LatestWriter(url, history_length=1000, log_id="bench")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._writer.close()

    def _write(self) -> None:
        offset = 0
        while not self._ended.wait(1 / UPDATES_HZ):
            entries = []
            for symbol in SYMBOLS:
                offset += 1
                made = prediction(symbol, offset=offset)
                message = msgspec.json.encode(made)
                entries.append(Latest(symbol, offset, made.ts_scored_ns, message, 0))
            self._writer.put(entries)


def _measure(folder: Path, tree: Path, redis_url: str, seconds: float) -> dict[str, float]:
    [port] = free_ports(1)
    settings = {
        "PYTHONPATH": str(tree),
        "REDIS_URL": redis_url,
        "VOLTICK_API_PORT": str(port),
        "VOLTICK_MODEL_STORE": str(folder / "models"),
    }
    with Process(["-m", "serving"], folder, settings, f"api-{port}") as api:
        api.wait_for_log("API listens", 60)
        load = [sys.executable, "-m", "tests.bench.api_load", str(port), str(CONNECTIONS)]
        _load(load, 1.0)  # its first requests import and connect
        process = psutil.Process(api.pid)
        before, begin_s = _processor_s(process), time.monotonic()
        reads, p50_ms, p99_ms = _load(load, seconds)
        used_s, taken_s = _processor_s(process) - before, time.monotonic() - begin_s
        api.terminate()
        api.wait_exit(20)
    return {
        "reads_per_core_s": reads / used_s,
        "reads_per_s": reads / taken_s,
        "processor_us_per_read": used_s / reads * 1e6,
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
    }


def _load(command: list[str], seconds: float) -> tuple[int, float, float]:
    done = subprocess.run(
        [*command, str(seconds), *SYMBOLS],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
    )
    found = msgspec.json.decode(done.stdout)
    return found["reads"], found["p50_ms"], found["p99_ms"]


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
