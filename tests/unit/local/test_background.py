"""Processes in the background of an all-in-one run."""

import sys
import threading
from pathlib import Path

import pytest
import structlog

from flows.local import background
from flows.local.supervisor import Supervisor
from flows.settings import Settings
from tests.support.polling import until


def test_outcomes_that_end_are_started_again_until_the_run_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "starts"
    script = f"import sys; open({str(note)!r}, 'a').write('x'); sys.exit(7)"

    def start(_settings, supervisor: Supervisor, name: str, _module, **options):
        return supervisor.spawn(name, [sys.executable, "-S", "-c", script], **options)

    monkeypatch.setattr(background, "start", start)
    monkeypatch.setattr(background, "_FIRST_RESTART_S", 0.01)
    with Supervisor() as supervisor, structlog.testing.capture_logs() as logs:
        keeper = threading.Thread(
            target=background._keep_outcomes, args=(Settings(), supervisor), daemon=True
        )
        keeper.start()
        until(lambda: note.exists() and len(note.read_text()) >= 3, "three starts")
        assert supervisor.wait(0) is None
    keeper.join(20)
    assert not keeper.is_alive()
    waits = [line["in_s"] for line in logs]
    assert waits == sorted(waits)
    assert {line["exit_code"] for line in logs} == {7}
