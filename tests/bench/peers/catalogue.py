"""Who is compared: each with its engine's module, environment, jars and delivery guarantee."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """One contestant.

    Attributes
    ----------
    name
        On the command line.
    title
        In the table.
    package
        Whose pinned version is told in the table; empty for our own.
    delivery
        What it promises for its outputs, in the words of its documentation.
    exactly_once
        Whether that is exactly once, outputs and state.
    module
        In ``engines``; empty for those that run in our own environment.
    requirements
        Name of its file in ``requirements``.
    jars
        A pom of what its connector needs.
    """

    name: str
    title: str
    package: str
    delivery: str
    exactly_once: bool
    module: str
    requirements: str = ""
    jars: Path | None = None


OURS = "voltick"
LIMIT = "passthrough"

_ALL = (
    Peer(OURS, "Voltick", "", "exactly once, state rebuilt from the log", True, ""),
    Peer(LIMIT, "pass-through (no work)", "", "none", False, ""),
    Peer(
        "plain",
        "confluent-kafka loop, deques",
        "confluent-kafka",
        "exactly once by offsets, state lost",
        False,
        "plain",
        "plain",
    ),
    Peer(
        "bytewax",
        "Bytewax, stock operators",
        "bytewax",
        "at least once, state from a snapshot",
        False,
        "bytewax_stock",
        "bytewax",
    ),
    Peer(
        "quix",
        "Quix Streams",
        "quixstreams",
        "exactly once, state in a changelog",
        True,
        "quix",
        "quix",
    ),
    Peer(
        "faust",
        "Faust (faust-streaming)",
        "faust-streaming",
        "exactly once, state in a changelog",
        True,
        "faust_app",
        "faust",
    ),
    Peer(
        "pathway",
        "Pathway",
        "pathway",
        "at least once, state in snapshots",
        False,
        "pathway_graph",
        "pathway",
    ),
    Peer(
        "flink",
        "PyFlink",
        "apache-flink",
        "exactly once, state in checkpoints",
        True,
        "flink_job",
        "flink",
        HERE / "flink-pom.xml",
    ),
    Peer(
        "spark",
        "Spark Structured Streaming",
        "pyspark",
        "at least once, state in checkpoints",
        False,
        "spark_query",
        "spark",
        HERE / "spark-pom.xml",
    ),
    Peer(
        "river",
        "river in a confluent-kafka loop",
        "river",
        "at least once, state lost",
        False,
        "river_loop",
        "river",
    ),
)

PEERS: Mapping[str, Peer] = {peer.name: peer for peer in _ALL}
