"""Where a benchmark runs: one broker, one Redis and a folder, all gone afterwards."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka.apache import AS_SHIPPED, ApacheKafka
from tests.support.kafka.tools import create_topics
from tests.support.processes import Process, flow

PIPELINE = "flows.pipeline"
TARGET = "volatility_spike"
END_LIMIT_S = 30.0

Broker = ApacheKafka | EmbeddedBroker


@dataclass(frozen=True)
class Servers:
    """What the contestants of one broker share; every topic has one partition."""

    folder: Path
    broker: Broker
    valkey: Valkey

    @property
    def config(self) -> dict[str, str]:
        """What a librdkafka client needs to connect."""
        return self.broker.client_config()

    def topics(self, *names: str) -> None:
        """Create topics of our own."""
        create_topics(self.config, 1, names=names)

    def flow(
        self,
        store: Path,
        group: str,
        name: str,
        module: str = PIPELINE,
        options: Sequence[str] = (),
        **settings: str,
    ) -> Process:
        """Return, not started yet, the pipeline as a process, which reads all partitions.

        As a member of a group it would first have to join.

        Parameters
        ----------
        store
            Folder of the model store.
        name
            Of its output files; several lives may share one.
        module
            The pipeline, or one that wraps it.
        options
            Of ``bytewax.run``.
        settings
            More settings, or others than these.
        """
        environment = {
            **self.broker.environment(),
            "VOLTICK_ASSIGNMENT": "all",
            "REDIS_URL": self.valkey.url,
            "VOLTICK_MODEL_STORE": str(store),
            "VOLTICK_TARGETS": TARGET,
            "VOLTICK_PARTITIONS": "1",
            "VOLTICK_GROUP": group,
            "VOLTICK_LOG_FORMAT": "json",
            **settings,
        }
        return flow(module, self.folder, environment, name, options)

    def passthrough(self, source: str, target: str, how: int | str | None = None) -> Process:
        """Return, not started yet, the process that copies messages.

        Parameters
        ----------
        how
            So many of them; or ``IN_TRANSACTIONS``, or at once, both until it is killed.
        """
        last = [] if how is None else [str(how)]
        arguments = ["-m", "tests.bench.passthrough", self.broker.bootstrap, source, target]
        return Process([*arguments, *last], self.folder, {}, f"passthrough-{source}")

    def bare(self, count: int, from_count: int, group: str, messages: Path) -> Process:
        """Return, not started yet, the flow without its work, which ends by itself.

        Parameters
        ----------
        count, from_count
            How many ticks it reads, and after how many it is timed.
        messages
            The folder with what it writes.
        """
        arguments = ["-m", "tests.bench.bare", self.broker.bootstrap, str(count), str(from_count)]
        return Process([*arguments, group, str(messages)], self.folder, {}, group)


@contextmanager
def servers(kind: str) -> Iterator[Servers]:
    """Start a broker of this kind (``embedded`` or ``apache``) and a Redis."""
    with tempfile.TemporaryDirectory(prefix="voltick-bench-") as name:
        folder = Path(name)
        with _broker(kind, folder / kind) as broker, Valkey(folder / "valkey") as valkey:
            yield Servers(folder, broker, valkey)


def _broker(kind: str, folder: Path) -> Broker:
    folder.mkdir()
    if kind == "apache":
        return ApacheKafka(folder, java_options=AS_SHIPPED)
    return EmbeddedBroker(folder)


def end(process: Process) -> None:
    """SIGTERM, so that what is open is committed or aborted, and wait for the end."""
    process.terminate()
    if process.wait_exit(END_LIMIT_S) != 0:
        message = f"the flow did not end well:\n{process.tail()}"
        raise RuntimeError(message)
