"""Every fault by its name, and the broker that it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.proof.broker_faults import (
    bad_road,
    broker_kill,
    broker_naps,
    broker_pause,
    disk_full,
    leader_change,
    lost_answers,
    slow_network,
)
from tests.proof.cluster import Fault
from tests.proof.faults import (
    kill_by_plan,
    long_sleep,
    lost_worker,
    redis_trouble,
    rescale,
    rolling_restart,
    second_instance,
    zombies,
)
from tests.proof.feeder import FeederKind
from tests.proof.members import members, rescale_members, rolling_members
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.distant import DistantKafka
from tests.support.kafka.far import FarKafka
from tests.support.kafka.lost_answers import AnswerLosingKafka

# Takes an empty folder, how many nodes are wanted, and the seed.
MakeBroker = Callable[[Path, int, int], ApacheKafka]


def near(folder: Path, nodes: int, seed: int) -> ApacheKafka:
    """Return nodes that nothing lies between."""
    del seed
    return ApacheKafka(folder, nodes)


def distant(folder: Path, nodes: int, seed: int) -> ApacheKafka:
    """Return three nodes that are far from each other."""
    del nodes
    return DistantKafka(folder, seed)


def far(folder: Path, nodes: int, seed: int) -> ApacheKafka:
    """Return one node at the end of a road that can be disturbed."""
    del nodes
    return FarKafka(folder, seed)


def losing_answers(folder: Path, nodes: int, seed: int) -> ApacheKafka:
    """Return one node whose answers to the feeder get lost when told so."""
    del nodes, seed
    return AnswerLosingKafka(folder)


@dataclass(frozen=True)
class Entry:
    """A fault, and what it needs to make sense.

    Attributes
    ----------
    nodes
        At least so many.
    feeder, transaction_timeout_ms
        Of the input and of the pipeline, where nothing else is asked for.
    group
        Whether the consumer group shares the partitions out.
    broker_loses_input
        See ``Plan``.
    """

    fault: Fault
    nodes: int = 1
    make_broker: MakeBroker = near
    feeder: FeederKind = FeederKind.IDEMPOTENT
    transaction_timeout_ms: int = 60_000
    broker_loses_input: bool = False
    group: bool = False


CATALOGUE = {
    "kills": Entry(kill_by_plan),
    "zombie": Entry(zombies),
    "second-instance": Entry(second_instance),
    "long-sleep": Entry(long_sleep, transaction_timeout_ms=5_000),
    "rescale": Entry(rescale),
    "lost-worker": Entry(lost_worker),
    "rolling-restart": Entry(rolling_restart),
    "members": Entry(members, group=True),
    "rescale-members": Entry(rescale_members, group=True),
    "rolling-members": Entry(rolling_members, group=True),
    "redis": Entry(redis_trouble),
    "broker-pause": Entry(broker_pause),
    "broker-naps": Entry(broker_naps),
    "broker-kill": Entry(broker_kill),
    "leader-change": Entry(leader_change, nodes=3),
    "bad-road": Entry(bad_road, make_broker=far, group=True),
    "slow-network": Entry(slow_network, nodes=3, make_broker=distant),
    "disk-full": Entry(disk_full, broker_loses_input=True),
    "lost-answers": Entry(lost_answers, make_broker=losing_answers, feeder=FeederKind.PLAIN),
}
