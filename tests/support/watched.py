"""A running system, every process of it, and the ports at which they answer Prometheus."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.training import TrainingResult
from tests.support.polling import free_ports
from tests.support.processes import Process, flow
from training.experiments.trainer_metrics import TrainerMetrics

OWN = ("pipeline", "ingest", "outcomes", "candles", "archive", "api")
RESULT = TrainingResult(
    target="volatility_spike", version="a@1", published=True, champion=True, pr_auc=0.3, lift=1.2
)


@dataclass(frozen=True, slots=True)
class Watched:
    """The system.

    Attributes
    ----------
    ports
        By the job that asks there.
    flows
        Processes that were started beside the all-in-one run, by name.
    settings
        The environment in which another command finds the system.
    """

    ports: dict[str, int]
    flows: dict[str, Process]
    run: Process
    settings: dict[str, str]

    @property
    def api(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.ports['voltick-api']}"

    def assert_running(self) -> None:
        """Fail with its last words where a process has ended."""
        for process in (self.run, *self.flows.values()):
            assert process.running, f"ended with {process.exit_code}: {process.tail()}"


def _addresses(said: str) -> dict[str, str]:
    """Return the settings that name the servers of which a line of the log tells."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    return {
        name: re.findall(rf"{word}=(\S+)", plain)[0]
        for name, word in (("KAFKA_BOOTSTRAP_SERVERS", "kafka"), ("REDIS_URL", "redis"))
    }


@contextmanager
def watched_system(folder: Path) -> Iterator[Watched]:
    """Start the all-in-one run on a simulated market, candles and archive, and a trainer's metrics.

    The trainer itself is not started: it would train for minutes.
    """
    ports = dict(zip(OWN, free_ports(len(OWN)), strict=True))
    own = {
        f"VOLTICK_{name.upper()}_METRICS_PORT": str(ports[name])
        for name in ("ingest", "outcomes", "candles", "archive")
    }
    settings = {
        **own,
        "VOLTICK_METRICS_PORT": str(ports["pipeline"]),
        "VOLTICK_API_PORT": str(ports["api"]),
        "VOLTICK_FEED": "simulate",
        "VOLTICK_TRAIN_AT_START": "false",
        "VOLTICK_MODEL_STORE": str(folder / "models"),
        "VOLTICK_ARCHIVE": str(folder / "archive"),
        "VOLTICK_ARCHIVE_INTERVAL_S": "1",
        "VOLTICK_PARTITIONS": "2",
    }
    with ExitStack() as stack:
        run = stack.enter_context(flow("flows.pipeline", folder, settings, "pipeline"))
        said = run.wait_for_log(r"kafka=\S+\s+redis=\S+", 60)
        beside = {
            **settings,
            **_addresses(said),
            "VOLTICK_ASSIGNMENT": "all",  # the embedded broker takes seconds to let members join
        }
        flows = {
            name: stack.enter_context(flow(f"flows.{name}", folder, beside, name))
            for name in ("candles", "archive")
        }
        trainer = TrainerMetrics()
        [ports["trainer"]] = free_ports(1)
        trainer.listen("127.0.0.1", ports["trainer"])
        trainer.observe(RESULT.target, RESULT, 10.0, 1.0e9)
        yield Watched({f"voltick-{name}": port for name, port in ports.items()}, flows, run, beside)
