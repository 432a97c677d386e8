"""Apache Kafka (KRaft) on loopback without Docker: one node or three, to be disturbed.

Children die with the thread that started them (see ``polling.die_with_parent``), so start
clusters from the main thread.
"""

import os
import resource
import shutil
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka.jars import java, kafka_classpath
from tests.support.kafka.security import Security
from tests.support.polling import die_with_parent, free_ports, until

# With fetching the jars it must fit into pytest's time for one test.
START_LIMIT_S = 80.0
SMALL = ("-Xmx512m", "-XX:+UseSerialGC")
"""Options of Java for tests: little memory and a quick start, but pauses of 30 to 90 ms."""

AS_SHIPPED = (
    "-Xmx1G",
    "-Xms1G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)
"""Those of Kafka's own start script, for measurements."""

_FORMATTING = ("-Xmx64m", "-XX:+UseSerialGC")

DEFAULTS: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Of members by the consumer protocol, whose time-outs are the broker's: as short as the tests'.
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "250",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.num.partitions": "1",
    # Defaults of 10 s and 60 s would only make tests wait for the same outcome.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # A killed node comes back only when its old session has ended (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.segment.delete.delay.ms": "1000",
    "log.retention.check.interval.ms": "1000",
    # Event times are old; by default messages of last week would be deleted while tests run.
    "log.retention.ms": "-1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "controlled.shutdown.enable": "false",
}


class ApacheNode:
    """One broker and controller process with its data folder and ports, which outlive it.

    Attributes
    ----------
    port, internal_port, controller_port
        Where it listens for clients, for other brokers and as a controller.
    clients_port
        Where clients are told to find it; elsewhere if something lies between.
    nodes_port, voters_port
        Where the nodes are told to find the latter two; elsewhere if something lies between.
    """

    def __init__(
        self, number: int, folder: Path, ports: list[int], java_options: Sequence[str] = SMALL
    ) -> None:
        self._java_options = java_options
        self.number = number
        self.folder = folder
        self.port, self.internal_port, self.controller_port = ports
        self.clients_port, self.nodes_port, self.voters_port = ports
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        """Whether the process exists (it may be stopped by SIGSTOP)."""
        return self.process is not None and self.process.poll() is None

    def write_properties(self, properties: Mapping[str, str]) -> None:
        """Write ``server.properties``."""
        lines = [f"{key}={value}" for key, value in properties.items()]
        (self.folder / "server.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def format(self, cluster_id: str, extra: list[str]) -> subprocess.Popen[bytes]:
        """Start formatting the data folder."""
        command = ["kafka.tools.StorageTool", "format", "-t", cluster_id, *extra]
        return self._java(command, _FORMATTING)

    def start(self) -> None:
        """Start the server on whatever its data folder holds."""
        if self.running:
            message = f"node {self.number} runs already"
            raise RuntimeError(message)
        self.process = self._java(["kafka.Kafka"], self._java_options)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it in time."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def largest_log(self, topic: str) -> int:
        """Return the size of a topic's largest file of messages, bytes."""
        folders = (self.folder / "data").glob(f"{topic}-*")
        alive = [folder for folder in folders if not folder.name.endswith("-delete")]
        return max(file.stat().st_size for folder in alive for file in folder.glob("*.log"))

    def fill_disk(self, file_bytes: int) -> None:
        """Let no file of the running process grow beyond this size (Linux).

        Stands for a full disk, which needs a file system of its own and the right to mount one:
        writes fail with EFBIG where they would with ENOSPC, and the server gets the same exception.
        Not the same: what is mapped into memory, i.e. existing indexes, can still be written.
        """
        assert self.process is not None
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes, most))

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def _java(self, command: list[str], options: Sequence[str]) -> subprocess.Popen[bytes]:
        main, *rest = command
        properties = str(self.folder / "server.properties")
        placed = [*rest, "-c", properties] if rest else [properties]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    java(),
                    *options,
                    "-Xshare:auto",
                    "-Dlog4j2.level=WARN",
                    "-cp",
                    kafka_classpath(),
                    main,
                    *placed,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "LC_ALL": "C"},
                preexec_fn=die_with_parent,
            )


class ApacheKafka:
    """A cluster of 1 or 3 combined nodes; a context manager.

    Parameters
    ----------
    folder
        Existing empty folder for data, configuration and logs.
    nodes
        How many; with three, topics and internal topics have three replicas, two in sync.
    properties
        Broker properties over ``DEFAULTS``, e.g. segment sizes or retention.
    security
        TLS and SCRAM on the clients' listener; none: plain text.
    java_options
        ``SMALL`` or ``AS_SHIPPED``.

    Attributes
    ----------
    start_limit_s
        How long nodes that are alive may take until they answer.
    """

    kind = "apache"
    keeps_guarantees = True
    start_limit_s = START_LIMIT_S

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        properties: Mapping[str, str] | None = None,
        security: Security | None = None,
        java_options: Sequence[str] = SMALL,
    ) -> None:
        self.folder = folder
        self.security = security
        self.replication = min(nodes, 3)
        ports = free_ports(3 * nodes)
        self.nodes = [
            ApacheNode(
                number, folder / f"node-{number}", ports[3 * number - 3 : 3 * number], java_options
            )
            for number in range(1, nodes + 1)
        ]
        self._properties = {**DEFAULTS, **(properties or {})}
        self._formatted = False

    @property
    def bootstrap(self) -> str:
        """``host:port,...`` for clients."""
        return ",".join(f"127.0.0.1:{node.clients_port}" for node in self.nodes)

    def client_config(self) -> dict[str, str]:
        """Return what a librdkafka client needs to connect."""
        secure = self.security.client_config() if self.security else {}
        return {"bootstrap.servers": self.bootstrap, **secure}

    def producer_config(self) -> dict[str, str]:
        """Return what a producer of input needs to connect: the same."""
        return self.client_config()

    def environment(self) -> dict[str, str]:
        """Return the product's settings that point it at this cluster."""
        secure = self.security.environment() if self.security else {}
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, **secure}

    def start(self) -> None:
        """Format at the first start, start every node and wait until clients are served."""
        if not self._formatted:
            self._format()
        for node in self.nodes:
            if not node.running:
                node.start()
        self.wait_ready()

    def wait_ready(self, nodes: int | None = None) -> None:
        """Wait until this many nodes (all of them, if not said) answer for the cluster."""
        expected = len(self.nodes) if nodes is None else nodes
        client = AdminClient({**self.client_config(), "log_level": 0}, logger=_SILENT)

        def answered() -> bool:
            dead = [node for node in self.nodes if not node.running]
            if len(self.nodes) - len(dead) < expected:
                message = f"Kafka ended while starting:\n{_tail(dead[0].log)}"
                raise RuntimeError(message)
            try:
                client.poll(0)
                return len(client.list_topics(timeout=1.0).brokers) >= expected
            except KafkaException:
                return False

        until(answered, "Apache Kafka to answer", self.start_limit_s)

    def stop(self) -> None:
        """End every node; the data stay."""
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        for node in self.nodes:
            shutil.rmtree(node.folder / "data", ignore_errors=True)

    def _format(self) -> None:
        # It must not begin with a dash, which the storage tool takes for an option.
        cluster_id = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).rstrip(b"=").decode()
        formats = []
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            node.write_properties(self._node_properties(node))
            scram = self.security.format_arguments() if self.security else []
            formats.append((node, node.format(cluster_id, scram)))
        for node, process in formats:
            if process.wait(self.start_limit_s) != 0:
                message = f"Kafka's storage could not be formatted:\n{_tail(node.log)}"
                raise RuntimeError(message)
        self._formatted = True

    def _node_properties(self, node: ApacheNode) -> dict[str, str]:
        listener = self.security.listener if self.security else "PLAINTEXT"
        voters = ",".join(f"{each.number}@127.0.0.1:{each.voters_port}" for each in self.nodes)
        in_sync = str(max(1, self.replication - 1))
        replicas = str(self.replication)
        return {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": voters,
            "listeners": f"{listener}://127.0.0.1:{node.port},"
            f"INTERNAL://127.0.0.1:{node.internal_port},"
            f"CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"{listener}://127.0.0.1:{node.clients_port},"
            f"INTERNAL://127.0.0.1:{node.nodes_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": f"{listener}:{listener},INTERNAL:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT",
            "log.dirs": str(node.folder / "data"),
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            **(self.security.broker_properties() if self.security else {}),
            **self._properties,
        }


class _Silent:
    """A logger for clients whose connection errors are expected."""

    def log(self, *_: object) -> None:
        """Say nothing."""


_SILENT = _Silent()


def _tail(log: Path, lines: int = 20) -> str:
    if not log.exists():
        return "(it said nothing)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
