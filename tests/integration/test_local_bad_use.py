"""Bad use of the all-in-one command: one clear line and a non-zero exit."""

import gzip
import re
import socket
from pathlib import Path

import pytest

from tests.support.frames import exchange_ticker, write_capture
from tests.support.polling import free_ports
from tests.support.processes import Process

LOGGED = re.compile(r"\d{4}-\d\d-\d\dT")
UNTIL_END = ["--speed", "max", "--until-end"]


def refused(arguments: list[str], folder: Path, **settings: str) -> str:
    """Run the command, which must fail with one line on stderr, and return that line."""
    settings = {"VOLTICK_MODEL_STORE": str(folder / "models"), **settings}
    with Process(["-m", *arguments], folder, settings) as process:
        assert process.wait_exit(60) not in (0, 1), process.tail()
        assert process.stdout == ""
        lines = [line for line in process.stderr.splitlines() if not LOGGED.match(line)]
        assert len(lines) == 1, process.stderr
        assert "Traceback" not in process.stderr
        return lines[0]


def replayed(path: Path, folder: Path, **settings: str) -> str:
    return refused(["flows.local", "--feed", f"replay:{path}", *UNTIL_END], folder, **settings)


def test_an_unknown_feed(tmp_path: Path) -> None:
    line = refused(["flows.local", "--feed", "kraken"], tmp_path)
    assert "VOLTICK_FEED='kraken'" in line


def test_an_unusable_setting(tmp_path: Path) -> None:
    line = refused(["flows.local"], tmp_path, VOLTICK_PARTITIONS="0")
    assert "VOLTICK_PARTITIONS='0'" in line


def test_an_unknown_setting(tmp_path: Path) -> None:
    line = refused(["flows.local"], tmp_path, VOLTICK_PARTITION="4")
    assert "VOLTICK_PARTITIONS" in line


def test_waiting_for_the_end_of_an_endless_feed(tmp_path: Path) -> None:
    line = refused(["flows.local", "--feed", "simulate", "--until-end"], tmp_path)
    assert "no end" in line


def test_a_missing_recording(tmp_path: Path) -> None:
    assert "nowhere.gz" in replayed(tmp_path / "nowhere.gz", tmp_path)


def test_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("just some notes\n")
    assert "notes.txt" in replayed(path, tmp_path)


def test_a_recording_of_an_unknown_venue(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "own.gz", [exchange_ticker(1)], venue="kraken")
    assert "'kraken'" in replayed(path, tmp_path)


def test_a_damaged_recording(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gz"
    path.write_bytes(gzip.compress(b"")[:5])
    assert "damaged.gz" in replayed(path, tmp_path)


def test_an_unreachable_broker(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "own.gz", [exchange_ticker(1)])
    address = f"127.0.0.1:{free_ports(1)[0]}"
    assert address in replayed(path, tmp_path, KAFKA_BOOTSTRAP_SERVERS=address)


@pytest.mark.parametrize("arguments", [["flows.local"], ["bytewax.run", "flows.pipeline"]])
def test_a_taken_port(arguments: list[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused(arguments, tmp_path, VOLTICK_API_PORT=port, VOLTICK_FEED="simulate")
    assert f"port {port}" in line
    assert "taken" in line


def test_a_model_store_that_cannot_be_written_is_named_and_left_alone(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "own.gz", [exchange_ticker(1)])
    store = tmp_path / "models"
    store.write_text("a file where a folder should be")
    arguments = ["-m", "flows.local", "--feed", f"replay:{path}", *UNTIL_END, "--no-train"]
    settings = {"VOLTICK_MODEL_STORE": str(store)}
    with Process(arguments, tmp_path, settings) as process:
        assert process.wait_exit(90) == 0, process.tail()
        assert str(store) in process.stderr
        assert "set VOLTICK_MODEL_STORE to a folder that can be written" in process.stderr
    assert store.read_text() == "a file where a folder should be"


def test_a_clustered_run_without_a_broker(tmp_path: Path) -> None:
    arguments = ["bytewax.run", "flows.pipeline", "-i", "0", "-a", "127.0.0.1:1;127.0.0.1:2"]
    assert "KAFKA_BOOTSTRAP_SERVERS" in refused(arguments, tmp_path)
