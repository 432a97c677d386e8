"""Disturbances of the pipeline and of what it rests on; each leaves the rest to ``prove``.

A life that ends by itself in one of them must do so with one clear line; the next life must come
to the same outputs.
"""

from confluent_kafka.admin import AdminClient

from flows.errors import FencedError
from schemas import topics
from tests.proof.moments import plan
from tests.proof.scene import Scene
from tests.support.apache_kafka import ApacheKafka, ApacheNode
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
    for moment in plan(scene.plan.seed, scene.plan.kills):
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


def second_instance(scene: Scene) -> None:
    """Start two instances on the same topics by mistake: the older ends, fenced."""
    older = scene.lives.start_whole()
    younger = scene.lives.start_whole()
    assert older.wait_exit(_END_LIMIT_S) == FencedError.exit_code, older.tail()
    assert "younger instance" in error_line(older)
    assert younger.running, younger.tail()


def long_sleep(scene: Scene, asleep_s: float = 4.0) -> None:
    """Pause the only instance for longer than its transaction may last (see the plan's settings).

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


def broker_pause(scene: Scene, asleep_s: float = 30.0) -> None:
    """SIGSTOP the broker, then let it go on: the pipeline does, too, or ends and says why."""
    process = scene.lives.start_whole()
    node = _node(scene)
    node.pause()
    scene.lives.wait_idle(asleep_s)
    node.resume()
    _goes_on_or_says_why(scene, process)


def broker_kill(scene: Scene) -> None:
    """SIGKILL the broker under load and start it again on its data."""
    process = scene.lives.start_whole()
    node = _node(scene)
    node.kill()
    scene.lives.wait_idle(1.0)
    node.start()
    _cluster(scene).wait_ready()
    _goes_on_or_says_why(scene, process)


def leader_change(scene: Scene) -> None:
    """SIGKILL, one after another, the nodes that lead a partition; needs three nodes."""
    process = scene.lives.start_whole()
    cluster = _cluster(scene)
    for partition in (0, 1):
        admin = AdminClient(cluster.client_config())
        found = admin.list_topics(topics.TICKS_RAW, timeout=10).topics[topics.TICKS_RAW]
        node = cluster.nodes[found.partitions[partition].leader - 1]
        scene.say(f"killing node {node.number}, which leads partition {partition}")
        node.kill()
        if not process.running:
            error_line(process)
            process = scene.lives.start()
        _goes_on_or_says_why(scene, process)
        node.start()
        cluster.wait_ready()
        if not process.running:
            process = scene.lives.start_whole()


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
    """SIGKILL one of two processes: the other one ends, too, for it cannot take over alone."""
    older, younger = scene.lives.start_cluster(2)
    younger.kill()
    assert older.wait_exit(_END_LIMIT_S) != 0
    assert "start all of them again" in error_line(older)


def _goes_on_or_says_why(scene: Scene, process: Process) -> None:
    before = scene.progress.total()
    scene.lives.wait_exit_or_commit(process, before, _END_LIMIT_S)
    if process.running:
        scene.say("it went on")
    else:
        scene.say(f"it ended: {error_line(process)}")


def _cluster(scene: Scene) -> ApacheKafka:
    assert isinstance(scene.broker, ApacheKafka), "only Apache Kafka can be tormented"
    return scene.broker


def _node(scene: Scene) -> ApacheNode:
    return _cluster(scene).nodes[0]


TORMENTS = {
    "kills": kill_by_plan,
    "zombie": zombie,
    "second-instance": second_instance,
    "long-sleep": long_sleep,
    "broker-pause": broker_pause,
    "broker-kill": broker_kill,
    "leader-change": leader_change,
    "redis": redis_trouble,
    "rescale": rescale,
    "lost-worker": lost_worker,
}
