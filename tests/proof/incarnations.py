"""Incarnations of the pipeline: started, watched, ended at a kill point of the plan."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.errors import FencedError
from tests.proof.kill_points import KillPoint
from tests.proof.killable import BLEW, VARIABLE
from tests.proof.pauses import look_at
from tests.proof.progress import Progress
from tests.proof.standstill import Standstill
from tests.support.polling import free_ports, pause, until
from tests.support.processes import Process, flow

_KILLED = -9
_INCARNATION_LIMIT_S = 150.0
_FUSE_LIMIT_S = 60.0
PIPELINE = "flows.pipeline"


@dataclass
class Incarnations:
    """Starts pipelines one after another in the same place.

    Attributes
    ----------
    settings
        Environment of every incarnation.
    kills
        Incarnations that ended by SIGKILL of ours, from outside or by their fuse.
    fenced
        Incarnations that we were about to kill when the fence of a younger one ended them.
    recoveries_s
        From each start that came to a commit to that commit, seconds; where a fault says so, from
        what ended the incarnation before.
    standstills_s
        For how long a partition's commit stood still in each handover, seconds.
    pauses_s
        For how long a partition's commit stood still, seconds, by what happened meanwhile.
    accidents
        Ends that were not ours, in words: each is a defect.
    """

    settings: dict[str, str]
    folder: Path
    progress: Progress
    say: Callable[[str], None]
    kills: int = 0
    fenced: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    standstills_s: list[float] = field(default_factory=list)
    pauses_s: dict[str, list[float]] = field(default_factory=dict)
    accidents: list[str] = field(default_factory=list)
    started: list[Process] = field(default_factory=list)
    _noted: set[Process] = field(default_factory=set)

    def start(self, module: str = PIPELINE, options: Sequence[str] = (), **more: str) -> Process:
        """Start another incarnation; ``options`` are the engine's, ``more`` are settings."""
        name = f"incarnation-{len(self.started) + 1:03d}"
        process = flow(module, self.folder, {**self.settings, **more}, name, options)
        self.started.append(process)
        return process.start()

    def stop(self, process: Process) -> None:
        """SIGTERM: what is open is committed, so that no broker shows anything twice."""
        process.terminate()
        assert process.wait_exit(30) == 0, process.tail()

    def end_all(self) -> None:
        """SIGKILL what is left."""
        for process in self.started:
            process.kill()

    def run_until(self, kill_point: KillPoint) -> None:
        """Go through one incarnation and end it at this kill point."""
        before = self.progress.total()
        kills, fenced = self.kills, self.fenced
        if kill_point.kind == "call":
            self._burn(kill_point, before)
        elif kill_point.kind == "overlap":
            self._overlap(kill_point, before)
        else:
            process = self.start()
            if kill_point.kind == "run":
                self.watch_until_commit(process, before)
            pause(kill_point.after_s)
            self.kill(process)
        ends = f"{self.kills - kills} killed, {self.fenced - fenced} fenced"
        self.say(f"{kill_point}: {ends}, {self.progress.total() - before} inputs further")

    def watch_until_commit(
        self, process: Process, before: int, since_s: float | None = None
    ) -> None:
        """Wait for the incarnation's first commit and note how long that took.

        Parameters
        ----------
        before
            Inputs that were committed until then, all partitions together.
        since_s
            Monotonic time from which it counts; none: the process's start.
        """
        if self._watch(process, before, since_s):
            return
        self.note_end(process)

    def start_whole(self) -> Process:
        """Start another incarnation and wait until it has committed on every partition.

        One that is paused while it still takes partitions over would go on with that when it wakes
        up, and end the instance that took them in the meantime.
        """
        [process] = self.start_cluster(1)
        return process

    def start_cluster(self, count: int) -> list[Process]:
        """Start so many processes that share the partitions; wait for commits on all of these."""
        processes = self.launch(count)
        self.wait_whole(processes)
        return processes

    def launch(self, count: int) -> list[Process]:
        """Start so many processes that share the partitions."""
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(count))
        return [
            self.start(options=["-i", str(number), "-a", addresses] if count > 1 else [])
            for number in range(count)
        ]

    def wait_whole(self, processes: Sequence[Process]) -> None:
        """Wait until there was another commit on every partition."""
        ends = {partition: offset + 1 for partition, offset in self.progress.offsets().items()}
        until(
            lambda: self.progress.reached(ends) or not all(each.running for each in processes),
            "commits on every partition",
            _INCARNATION_LIMIT_S,
        )
        for process in processes:
            if not process.running:
                self.note_end(process)

    def watch_handover(self, older: Sequence[Process], younger: Sequence[Process]) -> None:
        """Wait until the older have ended and the younger commit on every partition."""
        standstill = Standstill()

        def ended() -> bool:
            look_at(self.progress, standstill)
            return not any(each.running for each in older)

        until(ended, "the end of the older processes", _INCARNATION_LIMIT_S, 0.01)
        ends = {partition: offset + 1 for partition, offset in self.progress.offsets().items()}

        def whole() -> bool:
            offsets = look_at(self.progress, standstill)
            return all(offsets[part] >= end for part, end in ends.items()) or not all(
                each.running for each in younger
            )

        until(whole, "commits on every partition", _INCARNATION_LIMIT_S, 0.01)
        for process in younger:
            if not process.running:
                self.note_end(process)
        self.standstills_s.append(standstill.longest_s)

    def wait_idle(self, seconds: float) -> None:
        """Let time pass while the load goes on: the broker's own limits are the input."""
        pause(seconds)

    def wait_exit_or_commit(
        self, process: Process, before: int, deadline_s: float = _INCARNATION_LIMIT_S
    ) -> None:
        """Wait until the process has ended or committed anything beyond ``before``."""
        until(
            lambda: not process.running or self.progress.total() > before,
            "an end or a commit",
            deadline_s,
        )

    def _overlap(self, kill_point: KillPoint, before: int) -> None:
        older = self.start()
        self.watch_until_commit(older, before)
        younger = self.start()
        pause(kill_point.after_s)
        self.kill(older, or_fenced=True)
        self.watch_until_commit(younger, self.progress.total())
        self.kill(younger)

    def _burn(self, kill_point: KillPoint, before: int) -> None:
        """Run an incarnation that ends itself; if its point never comes, note an accident."""
        process = self.start("tests.proof.killable", **{VARIABLE: str(kill_point)})
        self._watch(process, before)
        with contextlib.suppress(TimeoutError):
            until(lambda: not process.running, "the fuse", _FUSE_LIMIT_S)
        if process.exit_code == _KILLED and f"{BLEW} {kill_point.point}" in process.stderr:
            self.kills += 1
        else:
            self.note_end(process)
            process.kill()

    def _watch(self, process: Process, before: int, since_s: float | None = None) -> bool:
        """Return whether the incarnation came to a commit."""
        end = time.monotonic() + _INCARNATION_LIMIT_S
        begin = process.started_at if since_s is None else since_s
        while process.running and time.monotonic() < end:
            if self.progress.total() > before:
                self.recoveries_s.append(time.monotonic() - begin)
                return True
            pause(0.01)
        return False

    def kill(self, process: Process, *, or_fenced: bool = False) -> None:
        """SIGKILL; an end that came first is an accident, unless a fence may be faster."""
        running = process.running
        process.kill()
        if running and process.exit_code == _KILLED:
            self.kills += 1
        elif or_fenced and process.exit_code == FencedError.exit_code:
            self.fenced += 1
        else:
            self.note_end(process)

    def note_end(self, process: Process) -> None:
        """Note an accident, once per incarnation: it ended or stands still against the plan."""
        if process in self._noted:
            return
        self._noted.add(process)
        end = "stood still" if process.running else f"ended with {process.exit_code}"
        self.accidents.append(f"{process.stderr_path.stem} {end}:\n{process.tail()}")
