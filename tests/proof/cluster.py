"""The servers and helpers of one proof, handed to whatever disturbs the pipeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.proof.feeder import Feeder, FeederKind
from tests.proof.incarnations import Incarnations
from tests.proof.progress import Progress
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka.apache import ApacheKafka

Broker = ApacheKafka | EmbeddedBroker


@dataclass(frozen=True)
class Plan:
    """What a proof does.

    Attributes
    ----------
    ticks
        At least so many inputs; more are made while the fault goes on.
    before
        How many of them are there before the first start.
    rate_hz
        Messages per second during the fault.
    oracle_rows
        How many feature rows are recomputed by the oracle, drawn by the seed.
    uninterrupted
        Compare all feature rows bit for bit with an undisturbed run on the same input.
    settings
        More settings of the pipeline.
    feeder
        What kind of producer writes the input.
    broker_loses_input
        Whether the fault lets the broker lose input that it has acknowledged: what is not in the
        log is then told and not judged.
    events
        How many things happen to the members of the group, in the fault that is about them.
    workers
        Of each member's process: each is a member of its own.
    named
        Whether members have names beyond their ends; whoever is started next takes a free one.
    max_symbols
        How many the pipeline remembers per partition: more than are traded, fewer than come in a
        crowd of strangers.
    """

    seed: int
    kills: int = 0
    partitions: int = 4
    ticks: int = 20_000
    before: int = 5_000
    rate_hz: float = 1_500.0
    oracle_rows: int = 2_000
    uninterrupted: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    feeder: FeederKind = FeederKind.IDEMPOTENT
    max_symbols: int = 16
    broker_loses_input: bool = False
    events: int = 0
    workers: int = 1
    named: bool = False


@dataclass
class Cluster:
    """What a fault works with; processes that it leaves are killed after it."""

    plan: Plan
    broker: Broker
    valkey: Valkey
    folder: Path
    store: Path
    feeder: Feeder
    progress: Progress
    incarnations: Incarnations
    say: Callable[[str], None]


Fault = Callable[[Cluster], None]


def settings_of(
    broker: Broker, valkey: Valkey, store: Path, group: str, partitions: int
) -> dict[str, str]:
    """Return the environment of a pipeline on these servers, which reads all partitions.

    So one that is started after a kill goes on at once; a proof of members says so in its plan.
    """
    return {
        **broker.environment(),
        "VOLTICK_ASSIGNMENT": "all",
        "REDIS_URL": valkey.url,
        "VOLTICK_MODEL_STORE": str(store),
        "VOLTICK_GROUP": group,
        "VOLTICK_PARTITIONS": str(partitions),
        "VOLTICK_REPLICATION_FACTOR": str(broker.replication),
    }
