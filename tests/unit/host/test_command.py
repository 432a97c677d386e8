"""What options take: a path of this machine, and no address; and how a command line ends."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from flows.errors import ConfigurationError
from flows.host.command import on_this_machine
from tests.support.processes import clean_environment


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/prefix", "S3://bucket", "gs://b/x", "https://host/x"],
    ids=["s3", "capitals", "gs", "https"],
)
def test_an_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is an address"):
        on_this_machine(Path(text))


@pytest.mark.parametrize(
    "text",
    ["out", "/s3:/x", "C:/x", "a:b/c", "."],
    ids=["name", "below", "drive", "colon", "here"],
)
def test_a_path_is_passed_on(text: str) -> None:
    assert on_this_machine(Path(text)) == Path(text)


def test_an_option_that_is_not_given_stays_so() -> None:
    assert on_this_machine(None) is None


COMMAND = """
import sys
from flows.errors import ConfigurationError
from flows.host.command import run_command

def app():
    {does}

run_command(app)
"""


def run_one(does: str, encoding: str = "", **streams: Any) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(does=does)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment({"PYTHONUNBUFFERED": "", "PYTHONIOENCODING": encoding}),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        **streams,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("text", ["'short'", "'long' * 100_000"], ids=["at-the-end", "at-once"])
def test_an_output_that_is_not_taken_is_one_line_and_no_answer(text: str) -> None:
    """A short one waits in the buffer, and fails when the command is over."""
    with Path("/dev/full").open("w") as full:
        done = run_one(f"sys.stdout.write({text}); sys.exit(0)", stdout=full)
    assert done.returncode == ConfigurationError.exit_code
    assert done.stderr == "voltick: the output: No space left on device\n"


def test_a_file_that_is_refused_is_named(tmp_path: Path) -> None:
    done = run_one(f"open({str(tmp_path / 'no' / 'such')!r})", stdout=subprocess.DEVNULL)
    assert done.returncode == ConfigurationError.exit_code
    assert done.stderr == f"voltick: {tmp_path / 'no' / 'such'}: No such file or directory\n"


def test_a_reader_that_has_left_is_told_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run_one("sys.stdout.write('x' * 1_000_000)", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (ConfigurationError.exit_code, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_the_output_cannot_hold_is_written_as_an_escape(encoding: str) -> None:
    done = run_one(r"print('\u5e01-USDT')", encoding, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u5e01-USDT\n", "")


def test_commands_of_training_end_as_all_others_do(tmp_path: Path) -> None:
    code = (
        "from flows.errors import ConfigurationError\nfrom training.console import command\n"
        "def app():\n    print('\\u5e01')\n    raise ConfigurationError('no such thing')\n"
        "command(app)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment({"PYTHONIOENCODING": "ascii"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (ConfigurationError.exit_code, "\\u5e01\n")
    assert done.stderr == "voltick: no such thing\n"
