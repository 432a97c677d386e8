"""Disturbances of the pipeline's processes and of Redis; each leaves the rest to ``prove``.

An incarnation that ends by itself in one of them must do so with one clear line; the next one must
come to the same outputs.
"""

import time

from flows.errors import FencedError
from flows.host.lossy_output import SAID_BY
from tests.proof.cluster import Cluster
from tests.proof.kill_points import naps, plan
from tests.support.processes import Process

_END_LIMIT_S = 90.0


def error_line(process: Process) -> str:
    """Return the error line of an ended process; fail if there are others or a traceback."""
    said = process.stderr
    assert "Traceback" not in said, said
    assert "panicked" not in said, said
    lines = [line for line in said.splitlines() if line.startswith(SAID_BY)]
    assert len(lines) == 1, said
    return lines[0]


def kill_by_plan(cluster: Cluster) -> None:
    """Go through the seeded kill points, one incarnation each."""
    for kill_point in plan(cluster.plan.seed, cluster.plan.kills, cluster.plan.partitions):
        cluster.incarnations.run_until(kill_point)


def zombie(cluster: Cluster, asleep_s: float = 0.0) -> None:
    """Pause an instance, let another take over, wake the first: it ends, fenced."""
    older = cluster.incarnations.start_whole()
    older.pause()
    younger = cluster.incarnations.start_whole()
    cluster.incarnations.wait_idle(asleep_s)
    older.resume()
    assert older.wait_exit(_END_LIMIT_S) == FencedError.exit_code, older.tail()
    assert "younger instance" in error_line(older)
    assert younger.running, younger.tail()


def zombies(cluster: Cluster) -> None:
    """Three of them, paused for 1 to 60 s each, drawn by the seed."""
    for asleep_s in naps(cluster.plan.seed, 3):
        cluster.say(f"one instance is paused for {asleep_s:.1f} s and more")
        zombie(cluster, asleep_s)
        cluster.incarnations.end_all()


def second_instance(cluster: Cluster) -> None:
    """Start two instances on the same topics by mistake: the older ends, fenced."""
    older = cluster.incarnations.start_whole()
    younger = cluster.incarnations.start_whole()
    assert older.wait_exit(_END_LIMIT_S) == FencedError.exit_code, older.tail()
    assert "younger instance" in error_line(older)
    assert younger.running, younger.tail()


def long_sleep(cluster: Cluster, asleep_s: float = 8.0) -> None:
    """Pause the only instance for longer than its transaction may last (by the plan's settings).

    Nobody took over, but the broker gave up what was open: it ends, or goes on where it had nothing
    open.
    """
    process = cluster.incarnations.start_whole()
    process.pause()
    cluster.incarnations.wait_idle(asleep_s)
    before = cluster.progress.total()
    process.resume()
    cluster.incarnations.wait_exit_or_commit(process, before)
    if not process.running:
        error_line(process)


def redis_trouble(cluster: Cluster) -> None:
    """Pause Redis, then kill it and start it empty: scoring goes on all the while."""
    process = cluster.incarnations.start_whole()
    for disturb, mend in (
        (cluster.valkey.pause, cluster.valkey.resume),
        (cluster.valkey.kill, cluster.valkey.start),
    ):
        disturb()
        before = cluster.progress.total()
        cluster.incarnations.wait_exit_or_commit(process, before + 2_000)
        assert process.running, process.tail()
        mend()
    cluster.incarnations.stop(process)


def rescale(cluster: Cluster) -> None:
    """Share the partitions among 1, 2, 4 and 1 processes, each ended by SIGTERM under load."""
    for count in (1, 2, 4, 1):
        processes = cluster.incarnations.start_cluster(count)
        for process in processes:
            process.terminate()
        for process in processes:
            assert process.wait_exit(30) == 0, process.tail()
            assert "Traceback" not in process.stderr, process.stderr
            assert "panicked" not in process.stderr, process.stderr
        cluster.say(f"{count} processes ended")


def lost_worker(cluster: Cluster) -> None:
    """SIGKILL one of two processes: the other one ends, too, for it cannot take over alone.

    Scoring stands still from then to the first commit of the two that replace them.
    """
    older, younger = cluster.incarnations.start_cluster(2)
    killed_at = time.monotonic()
    cluster.incarnations.kill(younger)
    assert older.wait_exit(_END_LIMIT_S) != 0
    assert "start all of them again" in error_line(older)
    cluster.say(f"the other one ended after {time.monotonic() - killed_at:.1f} s")
    before = cluster.progress.total()
    replacing = cluster.incarnations.launch(2)
    cluster.incarnations.watch_until_commit(replacing[0], before, since_s=killed_at)
    cluster.say(f"scoring stood still for {time.monotonic() - killed_at:.1f} s")
    cluster.incarnations.wait_whole(replacing)


def rolling_restart(cluster: Cluster, restarts: int = 3) -> None:
    """Start two younger processes beside two older ones, which end as they are fenced.

    A cluster's processes cannot be exchanged one by one: the engine's cluster ends as a whole. So
    a restart that hardly interrupts scoring is an overlap of two generations.
    """
    older = cluster.incarnations.start_cluster(2)
    for _ in range(restarts):
        younger = cluster.incarnations.launch(2)
        cluster.incarnations.watch_handover(older, younger)
        ends = [(process.exit_code, error_line(process)) for process in older]
        assert FencedError.exit_code in {code for code, _ in ends}, ends
        for code, line in ends:
            cluster.say(f"an older one ended with {code}: {line}")
            fenced = code == FencedError.exit_code and "younger instance" in line
            assert fenced or "start all of them again" in line
        older = younger
