"""Disturbances of the pipeline's processes and of Redis; each leaves the rest to ``prove``.

A life that ends by itself in one of them must do so with one clear line; the next life must come
to the same outputs.
"""

import time

from flows.errors import FencedError
from tests.proof.cluster import Scene
from tests.proof.kill_points import naps, plan
from tests.support.processes import Process

_END_LIMIT_S = 90.0


def error_line(process: Process) -> str:
    """Return the error line of an ended process; fail if there are others or a traceback."""
    said = process.stderr
    assert "Traceback" not in said, said
    assert "panicked" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, said
    return lines[0]


def kill_by_plan(scene: Scene) -> None:
    """Go through the seeded moments, one life each."""
    for moment in plan(scene.plan.seed, scene.plan.kills, scene.plan.partitions):
        scene.lives.live(moment)


def zombie(scene: Scene, asleep_s: float = 0.0) -> None:
    """Pause an instance, let another take over, wake the first: it ends, fenced."""
    older = scene.lives.start_whole()
    older.pause()
    younger = scene.lives.start_whole()
    scene.lives.wait_idle(asleep_s)
    older.resume()
    assert older.wait_exit(_END_LIMIT_S) == FencedError.exit_code, older.tail()
    assert "younger instance" in error_line(older)
    assert younger.running, younger.tail()


def zombies(scene: Scene) -> None:
    """Three of them, paused for 1 to 60 s each, drawn by the seed."""
    for asleep_s in naps(scene.plan.seed, 3):
        scene.say(f"one instance is paused for {asleep_s:.1f} s and more")
        zombie(scene, asleep_s)
        scene.lives.end_all()


def second_instance(scene: Scene) -> None:
    """Start two instances on the same topics by mistake: the older ends, fenced."""
    older = scene.lives.start_whole()
    younger = scene.lives.start_whole()
    assert older.wait_exit(_END_LIMIT_S) == FencedError.exit_code, older.tail()
    assert "younger instance" in error_line(older)
    assert younger.running, younger.tail()


def long_sleep(scene: Scene, asleep_s: float = 4.0) -> None:
    """Pause the only instance for longer than its transaction may last (by the plan's settings).

    Nobody took over, but the broker gave up what was open: it ends, or goes on where it had nothing
    open.
    """
    process = scene.lives.start_whole()
    process.pause()
    scene.lives.wait_idle(asleep_s)
    before = scene.progress.total()
    process.resume()
    scene.lives.wait_exit_or_commit(process, before)
    if not process.running:
        error_line(process)


def redis_trouble(scene: Scene) -> None:
    """Pause Redis, then kill it and start it empty: scoring goes on all the while."""
    process = scene.lives.start_whole()
    for disturb, mend in (
        (scene.valkey.pause, scene.valkey.resume),
        (scene.valkey.kill, scene.valkey.start),
    ):
        disturb()
        before = scene.progress.total()
        scene.lives.wait_exit_or_commit(process, before + 2_000)
        assert process.running, process.tail()
        mend()
    scene.lives.stop(process)


def rescale(scene: Scene) -> None:
    """Share the partitions among 1, 2, 4 and 1 processes, each ended by SIGTERM under load."""
    for count in (1, 2, 4, 1):
        processes = scene.lives.start_cluster(count)
        for process in processes:
            process.terminate()
        for process in processes:
            assert process.wait_exit(30) == 0, process.tail()
            assert "Traceback" not in process.stderr, process.stderr
            assert "panicked" not in process.stderr, process.stderr
        scene.say(f"{count} processes ended")


def lost_worker(scene: Scene) -> None:
    """SIGKILL one of two processes: the other one ends, too, for it cannot take over alone.

    Scoring stands still from then to the first commit of the two that replace them.
    """
    older, younger = scene.lives.start_cluster(2)
    killed_at = time.monotonic()
    scene.lives.kill(younger)
    assert older.wait_exit(_END_LIMIT_S) != 0
    assert "start all of them again" in error_line(older)
    scene.say(f"the other one ended after {time.monotonic() - killed_at:.1f} s")
    before = scene.progress.total()
    replacing = scene.lives.launch(2)
    scene.lives.watch_until_commit(replacing[0], before, since_s=killed_at)
    scene.say(f"scoring stood still for {time.monotonic() - killed_at:.1f} s")
    scene.lives.wait_whole(replacing)


def rolling_restart(scene: Scene, restarts: int = 3) -> None:
    """Start two younger processes beside two older ones, which end as they are fenced.

    A cluster's processes cannot be exchanged one by one: the engine's cluster ends as a whole. So
    a restart that hardly interrupts scoring is an overlap of two generations.
    """
    older = scene.lives.start_cluster(2)
    for _ in range(restarts):
        younger = scene.lives.launch(2)
        scene.lives.watch_handover(older, younger)
        ends = [(process.exit_code, error_line(process)) for process in older]
        assert FencedError.exit_code in {code for code, _ in ends}, ends
        for code, line in ends:
            scene.say(f"an older one ended with {code}: {line}")
            fenced = code == FencedError.exit_code and "younger instance" in line
            assert fenced or "start all of them again" in line
        older = younger
