"""Tests obey no setting of whoever runs them, and their children can be ended."""

import os
import signal
from pathlib import Path

import pytest

from flows.settings import Settings, load_settings
from tests.support import processes
from tests.support.polling import until
from tests.support.processes import ROOT, Process, is_obeyed, run

DOTENV = "KAFKA_BOOTSTRAP_SERVERS=production:9092\nVOLTICK_GROUP=production\n"
SHOW = "from flows.settings import load_settings; print(load_settings().to_env())"


@pytest.fixture
def developers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root with a ``.env``, where the tests were started."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / ".env").write_text(DOTENV)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VOLTICK_GROUP", "production")
    return folder


def test_a_child_sees_neither_a_dotenv_nor_the_environments_settings(
    developers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().group == "production"
    monkeypatch.setattr(processes, "ROOT", developers)
    done = run(["-c", SHOW], tmp_path, {"PYTHONPATH": str(ROOT), "VOLTICK_API_PORT": "9001"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{Settings(VOLTICK_API_PORT=9001).to_env()}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_child_of_tests_in_the_background_can_be_signalled(
    number: signal.Signals, tmp_path: Path
) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        process = Process(["-c", "print('up'); import time; time.sleep(600)"], tmp_path, {})
        with process:
            until(lambda: process.stdout, "the child to run")
            process.popen.send_signal(number)
            assert process.wait_exit(30) == -number
    finally:
        signal.signal(number, before)


def test_a_test_sees_neither() -> None:
    assert load_settings() == Settings()
    assert not any(is_obeyed(name) for name in os.environ)


def test_a_run_of_tests_sees_neither(developers: Path, tmp_path: Path) -> None:
    """As the one before, in a pytest that is started where they are."""
    inner = f"{Path(__file__)}::{test_a_test_sees_neither.__name__}"
    arguments = ["-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-n", "0", inner]
    done = run(
        [*arguments, "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner")],
        developers,
        {"VOLTICK_GROUP": "production"},
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
