"""Disturbances of the broker under load: the pipeline goes on, or ends and says why."""

import random

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas import topics
from tests.proof.cluster import Cluster
from tests.proof.faults import error_line
from tests.support.kafka.apache import ApacheKafka, ApacheNode
from tests.support.kafka.distant import DistantKafka
from tests.support.kafka.far import FarKafka
from tests.support.kafka.lost_answers import AnswerLosingKafka
from tests.support.kafka.tools import end_offsets
from tests.support.polling import until
from tests.support.processes import Process

_END_LIMIT_S = 90.0
# The watchdog ends what stands still by then, at the default transaction timeout or a shorter one.
_STANDSTILL_LIMIT_S = 120.0 + _END_LIMIT_S
_BATCH_BYTES = 16_384


def broker_pause(cluster: Cluster, asleep_s: float = 30.0) -> None:
    """SIGSTOP the broker, then let it go on: the pipeline does, too, or ends and says why."""
    process = cluster.incarnations.start_whole()
    node = _node(cluster)
    node.pause()
    cluster.incarnations.wait_idle(asleep_s)
    node.resume()
    _goes_on_or_says_why(cluster, process)


def broker_naps(cluster: Cluster, times: int = 8) -> None:
    """SIGSTOP the broker for seconds, again and again: the pipeline goes on each time.

    Its controller takes a node that slept beyond its session for dead and tells the clients so,
    although their connections live.
    """
    random_ = random.Random(cluster.plan.seed)  # noqa: S311 - repeatable by seed
    process = cluster.incarnations.start_whole()
    node = _node(cluster)
    for _ in range(times):
        node.pause()
        cluster.incarnations.wait_idle(random_.uniform(2.5, 6.0))
        node.resume()
        _goes_on_or_says_why(cluster, process)
        assert process.running, "a broker that only napped ended the pipeline"
        cluster.incarnations.wait_idle(random_.uniform(1.0, 5.0))


def broker_kill(cluster: Cluster) -> None:
    """SIGKILL the broker under load and start it again on its data."""
    process = cluster.incarnations.start_whole()
    node = _node(cluster)
    node.kill()
    cluster.incarnations.wait_idle(1.0)
    node.start()
    _nodes_of(cluster).wait_ready()
    _goes_on_or_says_why(cluster, process)


def leader_change(cluster: Cluster) -> None:
    """SIGKILL, one after another, the nodes that lead a partition; needs three nodes."""
    process = cluster.incarnations.start_whole()
    kafka = _nodes_of(cluster)
    for partition in (0, 1):
        node = leader_of(kafka, partition)
        cluster.say(f"killing node {node.number}, which leads partition {partition}")
        node.kill()
        if not process.running:
            error_line(process)
            process = cluster.incarnations.start()
        _goes_on_or_says_why(cluster, process)
        node.start()
        kafka.wait_ready()
        if not process.running:
            process = cluster.incarnations.start_whole()


def leader_of(kafka: ApacheKafka, partition: int) -> ApacheNode:
    """Return the node that leads a partition of the input."""
    admin = AdminClient(kafka.client_config())
    found = admin.list_topics(topics.TICKS_RAW, timeout=10).topics[topics.TICKS_RAW]
    return kafka.nodes[found.partitions[partition].leader - 1]


def slow_network(cluster: Cluster, stalls: int = 3) -> None:
    """Let the nodes be far from each other, and each time one of them out of reach for seconds.

    Longer than a broker's session: it may lose its partitions, and the controllers their leader.
    """
    kafka = _nodes_of(cluster)
    assert isinstance(kafka, DistantKafka), "the nodes are not far from each other"
    random_ = random.Random(cluster.plan.seed)  # noqa: S311 - repeatable by seed
    process = cluster.incarnations.start_whole()
    assert kafka.all_roads_used, "the nodes talk past the proxies"
    for _ in range(stalls):
        node, seconds = random_.choice(kafka.nodes), random_.uniform(2.0, 8.0)
        cluster.say(f"node {node.number} is out of the others' reach for {seconds:.1f} s")
        kafka.stall(node, seconds)
        cluster.incarnations.wait_idle(seconds)
        _goes_on_or_says_why(cluster, process)
        if not process.running:
            process = cluster.incarnations.start_whole()


def bad_road(cluster: Cluster) -> None:
    """Let every client's way to the broker be long, narrow, cut amid bytes, and silent.

    Each for longer than a member's session; in between all is well, and the pipeline goes on.
    """
    kafka = _nodes_of(cluster)
    assert isinstance(kafka, FarKafka), "nothing lies between the broker and its clients"
    random_ = random.Random(cluster.plan.seed)  # noqa: S311 - repeatable by seed
    process = cluster.incarnations.start_whole()
    assert kafka.proxy.connections, "clients go past the proxy"

    def long() -> None:
        kafka.road.between(0.1, 0.5)
        cluster.incarnations.wait_idle(15.0)

    def narrow() -> None:
        kafka.road.bytes_per_s = 10_000.0
        cluster.incarnations.wait_idle(30.0)

    def cut() -> None:
        for _ in range(20):
            kafka.proxy.cut()
            cluster.incarnations.wait_idle(random_.uniform(0.05, 1.0))

    def silent() -> None:
        kafka.road.stall(20.0)
        cluster.incarnations.wait_idle(20.0)

    acts = [long, narrow, cut, silent]
    random_.shuffle(acts)
    for act in acts:
        cluster.say(f"the road to the broker: {act.__name__}")
        act()
        kafka.road.between(0.0, 0.0)
        kafka.road.bytes_per_s = None
        _goes_on_or_says_why(cluster, process)
        if not process.running:
            process = cluster.incarnations.start_whole()


def disk_full(cluster: Cluster, times: int = 2) -> None:
    """Let the broker write nothing more: it ends; give it room and start it again.

    First the input's largest log may not grow, which cuts a batch in two, then no file at all.
    """
    random_ = random.Random(cluster.plan.seed)  # noqa: S311 - repeatable by seed
    kafka, node = _nodes_of(cluster), _node(cluster)
    process = cluster.incarnations.start_whole()
    for number in range(times):
        size = 0 if number else node.largest_log(topics.TICKS_RAW) + random_.randrange(_BATCH_BYTES)
        cluster.say(f"no file of the broker may be larger than {size} bytes")
        node.fill_disk(size)
        until(lambda: not node.running, "the broker to give up its disk", _END_LIMIT_S)
        cluster.incarnations.wait_idle(random_.uniform(0.5, 3.0))
        node.start()
        kafka.wait_ready()
        _goes_on_or_says_why(cluster, process)
        if not process.running:
            process = cluster.incarnations.start_whole()


def lost_answers(cluster: Cluster, times: int = 5) -> None:
    """Lose answers to the feeder, which sends again what is written already; kill in between."""
    kafka = _nodes_of(cluster)
    assert isinstance(kafka, AnswerLosingKafka), "nothing lies between feeder and broker"
    for _ in range(times):
        process = cluster.incarnations.start_whole()
        kafka.proxy.wait_lost(kafka.proxy.lose_one())
        cluster.incarnations.wait_idle(0.5)
        cluster.incarnations.kill(process)


def _goes_on_or_says_why(cluster: Cluster, process: Process) -> None:
    before = cluster.progress.total()
    config, partitions = cluster.broker.client_config(), cluster.plan.partitions

    def answered() -> bool:
        if not process.running or cluster.progress.total() > before:
            return True
        # The feeder's client may be the one that hangs: then there is nothing to go on with.
        try:
            ends = end_offsets(config, topics.TICKS_RAW, partitions)
        except KafkaException:
            return False  # no leader yet: the process has as long as for everything else
        return cluster.progress.reached({part: end for part, (_, end) in ends.items()})

    until(answered, "an end or a commit", _STANDSTILL_LIMIT_S, 0.1)
    if process.running:
        cluster.say("it went on")
    else:
        cluster.say(f"it ended: {error_line(process)}")


def _nodes_of(cluster: Cluster) -> ApacheKafka:
    assert isinstance(cluster.broker, ApacheKafka), "only Apache Kafka has nodes to disturb"
    return cluster.broker


def _node(cluster: Cluster) -> ApacheNode:
    return _nodes_of(cluster).nodes[0]
