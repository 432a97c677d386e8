"""A kill is counted where it was ours; any other end of a life is an accident."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from flows.errors import FencedError
from tests.proof import incarnations as module
from tests.proof.incarnations import Lives
from tests.proof.kill_points import Moment
from tests.proof.killable import BLEW
from tests.proof.progress import Progress
from tests.support.polling import until
from tests.support.processes import Process

SLEEP = "import time; time.sleep(60)"
DIES = "import os; os.kill(os.getpid(), 9)"
BLOWS = f"import os; os.write(2, b'{BLEW} {{}}, pass 9'); os.kill(os.getpid(), 9)"
FENCED = f"raise SystemExit({FencedError.exit_code})"
MOMENT = Moment("call", "before_commit", 9)


class Still:
    """A group that commits nothing."""

    def total(self) -> int:
        return 0


class Played(Lives):
    """Lives of plain Python in place of the pipeline, by what each is to do."""

    def play(self, *programs: str) -> None:
        self.programs = list(programs)

    def start(self, *_arguments: object, **_more: object) -> Process:
        name = f"life-{len(self.started) + 1:03d}"
        process = Process(["-c", self.programs.pop(0)], self.folder, {}, name)
        self.started.append(process)
        return process.start()


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(module, "_FUSE_LIMIT_S", 0.1)
    monkeypatch.setattr(module, "_LIFE_LIMIT_S", 0.1)
    said: list[str] = []
    made = Played({}, tmp_path, cast(Progress, Still()), said.append)
    yield made
    made.end_all()


def ended(process: Process) -> Process:
    until(lambda: not process.running, "its end")
    return process


def test_life_whose_fuse_blew_is_a_kill(lives: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIFE_LIMIT_S", 10.0)
    lives.play(BLOWS.format("before_commit"))
    lives.live(MOMENT)
    assert (lives.kills, lives.accidents) == (1, [])


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (SLEEP, "stood still"),
        (DIES, "ended with -9"),
        (BLOWS.format("after_commit"), "ended with -9"),
        ("raise SystemExit(1)", "ended with 1"),
    ],
)
def test_life_that_does_not_come_to_its_moment_is_an_accident(
    lives: Played, monkeypatch: pytest.MonkeyPatch, program: str, told: str
) -> None:
    if program != SLEEP:
        monkeypatch.setattr(module, "_LIFE_LIMIT_S", 10.0)
    lives.play(program)
    lives.live(MOMENT)
    assert lives.kills == 0
    [accident] = lives.accidents
    assert accident.startswith(f"life-001 {told}")
    assert not lives.started[0].running


def test_kill_of_a_running_life_is_ours(lives: Played) -> None:
    lives.play(SLEEP)
    lives.kill(lives.start())
    assert (lives.kills, lives.accidents) == (1, [])


@pytest.mark.parametrize("program", [DIES, FENCED, "pass"])
def test_life_that_ended_before_its_kill_is_an_accident(lives: Played, program: str) -> None:
    lives.play(program)
    process = ended(lives.start())
    lives.kill(process)
    lives.note_end(process)
    assert lives.kills == lives.fenced == 0
    assert len(lives.accidents) == 1


def test_overlap_that_a_fence_ended_is_not_a_kill(
    lives: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lives, "watch_until_commit", lambda *_: None)
    lives.play(FENCED, SLEEP)
    lives.live(Moment("overlap", after_s=1.0))
    assert (lives.kills, lives.fenced, lives.accidents) == (1, 1, [])
