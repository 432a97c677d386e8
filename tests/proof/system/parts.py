"""Every program of a deployment as a plain process, with servers of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.embedded import Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.mlflow_server import MlflowServer
from tests.support.polling import free_ports, until
from tests.support.processes import Process, flow, run
from tests.support.prometheus import Alertmanager, Prometheus

FLOWS = ("ingest", "pipeline", "outcomes", "candles", "archive")
TARGETS = ("volatility_spike", "forward_return")
HISTORY = "simulate:3h"
"""What the trainers learn from: a run of minutes has too few ticks of its own, and of two hours
the purge and the embargo leave too little."""


@dataclass(frozen=True, slots=True)
class System:
    """All of it, running.

    Attributes
    ----------
    programs
        The product's own processes by name.
    servers
        Process ids of what stands beside them, by name.
    """

    kafka: ApacheKafka
    programs: dict[str, Process]
    servers: dict[str, int]
    prometheus: Prometheus
    alertmanager: Alertmanager

    def pids(self) -> dict[str, int]:
        """Return the process ids of all that run now, by name."""
        own = {name: each.pid for name, each in self.programs.items() if each.running}
        return own | self.servers

    def restart(self, name: str) -> None:
        """Start a program again that has ended."""
        old = self.programs[name]
        again = Process(old.arguments, old.folder, old.settings, f"{name}-again")
        self.programs[name] = again.start()


@contextmanager
def whole_system(folder: Path, train_every: str) -> Iterator[System]:
    """Start everything, and end it with the context.

    Parameters
    ----------
    folder
        Existing, for data and logs.
    train_every
        How often each trainer trains.
    """
    with ExitStack() as stack:
        (folder / "kafka").mkdir()
        kafka = stack.enter_context(ApacheKafka(folder / "kafka"))
        valkey = stack.enter_context(Valkey(folder / "valkey"))
        mlflow = stack.enter_context(MlflowServer(folder / "mlflow"))
        common = {
            **kafka.environment(),
            "REDIS_URL": valkey.url,
            "VOLTICK_FEED": "simulate",
            "VOLTICK_PARTITIONS": "2",
            "VOLTICK_ASSIGNMENT": "group",
            "VOLTICK_MODEL_STORE": str(folder / "models"),
            "VOLTICK_ARCHIVE": str(folder / "archive"),
            "VOLTICK_ARCHIVE_INTERVAL_S": "10",
        }
        run(["-m", "flows.topics", "--wait", "60"], folder, common, 180)
        ports: dict[str, int | list[int]] = {}
        programs: dict[str, Process] = {}
        for name in FLOWS:
            [port] = free_ports(1)
            ports[f"voltick-{name}"] = port
            variable = "VOLTICK_INGEST_METRICS_PORT" if name == "ingest" else "VOLTICK_METRICS_PORT"
            settings = {**common, variable: str(port)}
            programs[name] = stack.enter_context(flow(f"flows.{name}", folder, settings, name))
        [api] = free_ports(1)
        ports["voltick-api"] = api
        settings = {**common, "VOLTICK_API_PORT": str(api)}
        programs["api"] = stack.enter_context(Process(["-m", "serving"], folder, settings, "api"))
        trainers = free_ports(len(TARGETS))
        ports["voltick-trainer"] = trainers
        for target, port in zip(TARGETS, trainers, strict=True):
            words = ["-m", "training.retrain", "--target", target, "--from", HISTORY, "--publish"]
            words += ["--every", train_every, "--mlflow", mlflow.url]
            settings = {**common, "VOLTICK_TRAINER_METRICS_PORT": str(port)}
            name = f"trainer {target}"
            made = Process(words, folder, settings, name.replace(" ", "-"))
            programs[name] = stack.enter_context(made)
        alertmanager = stack.enter_context(Alertmanager(folder / "alertmanager"))
        prometheus = stack.enter_context(
            Prometheus(folder / "prometheus", ports, alertmanager.port, hurried=False)
        )
        servers = {
            "kafka": kafka.nodes[0].process,
            "valkey": valkey.process,
            "mlflow": mlflow.process,
            "prometheus": prometheus.process,
            "alertmanager": alertmanager.process,
        }
        pids = {name: process.pid for name, process in servers.items() if process is not None}
        found = System(kafka, programs, pids, prometheus, alertmanager)
        until(lambda: _answers(found), "every process to answer a scrape", 300, every_s=1.0)
        yield found
        # A program that was started again is not the one that the context knows.
        stack.callback(lambda: [each.kill() for each in programs.values()])


def _answers(system: System) -> bool:
    for name, process in system.programs.items():
        assert process.running, f"{name} ended with {process.exit_code}: {process.tail()}"
    up = system.prometheus.query("up")
    return len(up) == len(system.programs) and all(each["value"][1] == "1" for each in up)
