"""A kill is counted where it was ours; any other end of an incarnation is an accident."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from flows.errors import FencedError
from tests.proof import incarnations as module
from tests.proof.incarnations import Incarnations
from tests.proof.kill_points import KillPoint
from tests.proof.killable import BLEW
from tests.proof.progress import Progress
from tests.support.polling import until
from tests.support.processes import Process

SLEEP = "import time; time.sleep(60)"
DIES = "import os; os.kill(os.getpid(), 9)"
BLOWS = f"import os; os.write(2, b'{BLEW} {{}}, pass 9'); os.kill(os.getpid(), 9)"
FENCED = f"raise SystemExit({FencedError.exit_code})"
KILL_POINT = KillPoint("call", "before_commit", 9)


class Still:
    """A group that commits nothing."""

    def total(self) -> int:
        return 0


class Played(Incarnations):
    """Incarnations of plain Python in place of the pipeline, by what each is to do."""

    def play(self, *programs: str) -> None:
        self.programs = list(programs)

    def start(self, *_arguments: object, **_more: object) -> Process:
        name = f"incarnation-{len(self.started) + 1:03d}"
        process = Process(["-c", self.programs.pop(0)], self.folder, {}, name)
        self.started.append(process)
        return process.start()


@pytest.fixture
def incarnations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(module, "_FUSE_LIMIT_S", 0.1)
    monkeypatch.setattr(module, "_INCARNATION_LIMIT_S", 0.1)
    said: list[str] = []
    made = Played({}, tmp_path, cast(Progress, Still()), said.append)
    yield made
    made.end_all()


def ended(process: Process) -> Process:
    until(lambda: not process.running, "its end")
    return process


def test_incarnation_whose_fuse_blew_is_a_kill(
    incarnations: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INCARNATION_LIMIT_S", 10.0)
    incarnations.play(BLOWS.format("before_commit"))
    incarnations.run_until(KILL_POINT)
    assert (incarnations.kills, incarnations.accidents) == (1, [])


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (SLEEP, "stood still"),
        (DIES, "ended with -9"),
        (BLOWS.format("after_commit"), "ended with -9"),
        ("raise SystemExit(1)", "ended with 1"),
    ],
)
def test_incarnation_that_does_not_come_to_its_kill_point_is_an_accident(
    incarnations: Played, monkeypatch: pytest.MonkeyPatch, program: str, told: str
) -> None:
    if program != SLEEP:
        monkeypatch.setattr(module, "_INCARNATION_LIMIT_S", 10.0)
    incarnations.play(program)
    incarnations.run_until(KILL_POINT)
    assert incarnations.kills == 0
    [accident] = incarnations.accidents
    assert accident.startswith(f"incarnation-001 {told}")
    assert not incarnations.started[0].running


def test_kill_of_a_running_incarnation_is_ours(incarnations: Played) -> None:
    incarnations.play(SLEEP)
    incarnations.kill(incarnations.start())
    assert (incarnations.kills, incarnations.accidents) == (1, [])


@pytest.mark.parametrize("program", [DIES, FENCED, "pass"])
def test_incarnation_that_ended_before_its_kill_is_an_accident(
    incarnations: Played, program: str
) -> None:
    incarnations.play(program)
    process = ended(incarnations.start())
    incarnations.kill(process)
    incarnations.note_end(process)
    assert incarnations.kills == incarnations.fenced == 0
    assert len(incarnations.accidents) == 1


def test_overlap_that_a_fence_ended_is_not_a_kill(
    incarnations: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Incarnations, "watch_until_commit", lambda *_: None)
    incarnations.play(FENCED, SLEEP)
    incarnations.run_until(KillPoint("overlap", after_s=1.0))
    assert (incarnations.kills, incarnations.fenced, incarnations.accidents) == (1, 1, [])
