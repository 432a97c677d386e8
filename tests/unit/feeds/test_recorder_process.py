"""The recorder as a process, on disks that take no more or nothing at all."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.feeds.capture import CaptureReader
from flows.feeds.record import app
from tests.support.processes import ROOT
from tests.support.read_only import read_only, skip_where_mounts_are_refused

RECORD = ("-m", "flows.feeds.record")
SIMULATED = (
    "--feed",
    "simulate",
    "--rate",
    "50",
    "--symbols",
    "A-USD,B-USD,C-USD,D-USD",
    "--duration",
    "60",
)


def test_a_disk_that_fills_up_leaves_a_whole_file_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "x.frames.ndjson.gz"
    full = 'ulimit -f 8; exec "$@"'  # no file becomes longer than some kilobytes
    command = [sys.executable, *RECORD, str(path), *SIMULATED]
    done = subprocess.run(
        ["/bin/sh", "-c", full, "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = f"voltick: cannot write the recording {path}: File too large\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    gzip.decompress(path.read_bytes())
    with CaptureReader(path) as reader:
        frames = [frame for block in reader.blocks() for frame in block]
        assert reader.broken_off is None
    assert frames


def test_a_disk_that_can_only_be_read_is_one_clear_line(tmp_path: Path) -> None:
    skip_where_mounts_are_refused(tmp_path)
    path = tmp_path / "x.frames.ndjson.gz"
    with read_only([*RECORD, str(path), *SIMULATED], tmp_path, {}) as process:
        code = process.wait_exit(110)
    assert (code, process.tail()) == (
        2,
        f"voltick: cannot write the recording {path}: Read-only file system",
    )
    assert not path.exists()


def test_the_simulator_s_settings_hold_for_its_recordings(tmp_path: Path) -> None:
    path = tmp_path / "x.frames.ndjson"
    command = [sys.executable, *RECORD, str(path), "--feed", "simulate", "--duration", "2"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "VOLTICK_SIMULATE_RATE_HZ": "0.001", "VOLTICK_SIMULATE_SEED": "11"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with CaptureReader(path) as reader:
        assert "at 0.001 ticks/s" in reader.header.source
        assert sum(len(block) for block in reader.blocks()) <= 1


@pytest.mark.parametrize("duration", ["nan", "inf", "-1", "0"])
def test_a_duration_that_is_none_is_refused_before_a_file_is_made(
    duration: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.frames.ndjson.gz"
    done = CliRunner().invoke(app, [str(path), "--feed", "simulate", "--duration", duration])
    assert (done.exit_code, path.exists()) == (2, False)
    assert "--duration" in done.output
