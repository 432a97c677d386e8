"""Disturbances of the broker under load: the pipeline goes on, or ends and says why."""

import random

from confluent_kafka.admin import AdminClient

from schemas import topics
from tests.proof.cluster import Scene
from tests.proof.faults import error_line
from tests.support.kafka.apache import ApacheKafka, ApacheNode
from tests.support.kafka.distant import DistantKafka
from tests.support.polling import until
from tests.support.processes import Process

_END_LIMIT_S = 90.0
_BATCH_BYTES = 16_384


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


def slow_network(scene: Scene, stalls: int = 3) -> None:
    """Let the nodes be far from each other, and each time one of them out of reach for seconds.

    Longer than a broker's session: it may lose its partitions, and the controllers their leader.
    """
    cluster = _cluster(scene)
    assert isinstance(cluster, DistantKafka), "the nodes are not far from each other"
    random_ = random.Random(scene.plan.seed)  # noqa: S311 - repeatable by seed
    process = scene.lives.start_whole()
    assert cluster.all_roads_used, "the nodes talk past the proxies"
    for _ in range(stalls):
        node, seconds = random_.choice(cluster.nodes), random_.uniform(2.0, 8.0)
        scene.say(f"node {node.number} is out of the others' reach for {seconds:.1f} s")
        cluster.stall(node, seconds)
        scene.lives.wait_idle(seconds)
        _goes_on_or_says_why(scene, process)
        if not process.running:
            process = scene.lives.start_whole()


def disk_full(scene: Scene, times: int = 2) -> None:
    """Let the broker write nothing more: it ends; give it room and start it again.

    First the input's largest log may not grow, which cuts a batch in two, then no file at all.
    """
    random_ = random.Random(scene.plan.seed)  # noqa: S311 - repeatable by seed
    cluster, node = _cluster(scene), _node(scene)
    process = scene.lives.start_whole()
    for number in range(times):
        size = 0 if number else node.largest_log(topics.TICKS_RAW) + random_.randrange(_BATCH_BYTES)
        scene.say(f"no file of the broker may be larger than {size} bytes")
        node.fill_disk(size)
        until(lambda: not node.running, "the broker to give up its disk", _END_LIMIT_S)
        scene.lives.wait_idle(random_.uniform(0.5, 3.0))
        node.start()
        cluster.wait_ready()
        _goes_on_or_says_why(scene, process)
        if not process.running:
            process = scene.lives.start_whole()


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
