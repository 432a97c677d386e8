"""One soak: servers and flows are started, load goes on, samples are taken and judged."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
from confluent_kafka import KafkaException

from schemas import topics
from tests.proof.cluster import settings_of
from tests.proof.feeder import Feeder, Rhythm
from tests.proof.soak.judge import Sample, complaints, delivery, growth, lags, second_half
from tests.proof.soak.load import event_hz, ticks
from tests.proof.soak.watch import Lag, Observer, Reader, histogram, since
from tests.support.embedded import Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import create_topics
from tests.support.polling import free_ports, pause, until
from tests.support.processes import Process, flow

START_LIMIT_S = 120.0
DRAIN_LIMIT_S = 120.0
SAY_EVERY_S = 30.0
FLOWS = ("pipeline", "outcomes")

# What nobody reads again is kept short. ticks.raw and predictions are kept whole: the states of the
# two flows are rebuilt from the last hour of event time.
_KEPT = (topics.TICKS_RAW, topics.PREDICTIONS)
_SHORT = {"retention.bytes": str(64 * 2**20), "segment.bytes": str(16 * 2**20)}
# Of an input and its prediction as they lie in the log, measured; and of all that is kept short,
# with the segments that wait to be deleted.
_BYTES_PER_TICK = 450
_SHORT_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Plan:
    """What a soak does.

    Attributes
    ----------
    sample_s
        Time between two samples.
    rss_limit_per_h
        What a flow's memory may grow by, MB per hour.
    """

    seed: int
    minutes: float
    rhythm: Rhythm
    partitions: int = 4
    symbols: int = 20
    sample_s: float = 2.0
    rss_limit_per_h: float = 20.0

    @property
    def disk_bytes(self) -> float:
        """About how much the broker's logs take in the end."""
        return self.rhythm.mean_hz * self.minutes * 60 * _BYTES_PER_TICK + _SHORT_BYTES

    @property
    def at_rest(self) -> int:
        """The lag that the load alone makes: what comes within a second outside of bursts."""
        return int(self.rhythm.base_hz)


@dataclass
class Findings:
    """What was seen, and what is wrong with it, in words."""

    inputs: int = 0
    predictions: int = 0
    missing: int = 0
    twice: int = 0
    samples: list[Sample] = field(default_factory=list)
    commit: Mapping[float, float] = field(default_factory=dict)
    latency: Mapping[float, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def require_disk(folder: Path, plan: Plan) -> None:
    """Raise ``RuntimeError`` where the logs would not fit with room to spare."""
    free = shutil.disk_usage(folder).free
    if free < 1.5 * plan.disk_bytes:
        message = (
            f"the broker's logs may take {plan.disk_bytes / 1e9:.1f} GB, but {folder} has only"
            f" {free / 1e9:.1f} GB free"
        )
        raise RuntimeError(message)


def soak(kafka: ApacheKafka, plan: Plan, folder: Path, say: Callable[[str], None]) -> Findings:
    """Let both flows run under load on a broker without topics, and judge them.

    Parameters
    ----------
    folder
        Existing; keeps what the flows say, and every sample.
    say
        Takes progress in words.
    """
    config = kafka.client_config()
    create_topics(config, plan.partitions, kafka.replication, _KEPT)
    others = [name for name in topics.ALL if name not in _KEPT]
    create_topics(config, plan.partitions, kafka.replication, others, _SHORT)
    group = f"soak-{plan.seed}-{os.getpid()}"
    ports = dict(zip(FLOWS, free_ports(len(FLOWS)), strict=True))
    with Valkey(folder / "valkey") as valkey:
        settings = {
            **settings_of(kafka, valkey, folder / "models", group, plan.partitions),
            "VOLTICK_LOG_FORMAT": "json",
        }
        flows = {
            name: flow(
                f"flows.{name}",
                folder,
                {**settings, "VOLTICK_METRICS_PORT": str(ports[name])},
                name,
            )
            for name in FLOWS
        }
        try:
            for name, process in flows.items():  # in turn: the first one makes the models
                process.start().wait_for_log(f"{name} ready", START_LIMIT_S)
            made = _Soak(kafka, valkey, plan, group, flows, ports["pipeline"], folder, say)
            return made.run()
        finally:
            for process in flows.values():
                process.kill()


class _Soak:
    """The time from the first message to the last commit."""

    def __init__(
        self,
        kafka: ApacheKafka,
        valkey: Valkey,
        plan: Plan,
        group: str,
        flows: Mapping[str, Process],
        metrics_port: int,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        config, parts = kafka.client_config(), plan.partitions
        self._plan = plan
        self._flows = flows
        self._port = metrics_port
        self._samples = folder / "samples.ndjson"
        self._say = say
        self._lags = {
            "pipeline": Lag(config, group, topics.TICKS_RAW, parts),
            "outcomes": Lag(
                config, f"{group}-outcomes", topics.PREDICTIONS, parts, transactional=True
            ),
        }
        self._observer = Observer(_process_ids(kafka, valkey, flows), self._lags)
        self._reader = Reader(config, parts)
        made = ticks(plan.seed, plan.symbols, parts, event_hz(plan.rhythm, plan.minutes))
        self._feeder = Feeder(config, made, plan.rhythm)
        self._begin = 0.0
        self._found = Findings()

    def run(self) -> Findings:
        """Go through it and return what was found."""
        found = self._found
        before = self._histograms()
        self._begin = time.monotonic()
        self._feeder.start()
        try:
            self._watch()
            self._feeder.stop()
            self._drain()
            commit, latency = self._histograms()
            found.commit, found.latency = since(before[0], commit), since(before[1], latency)
        except (psutil.Error, KafkaException, OSError, RuntimeError) as broken:
            found.wrong.append(f"it ended early: {broken}")
            self._feeder.stop()
        self._end_flows()
        self._judge()
        return found

    def _watch(self) -> None:
        said_s = 0.0
        while (at_s := time.monotonic() - self._begin) < self._plan.minutes * 60:
            self._require_alive()
            sample = self._look()
            if at_s - said_s >= SAY_EVERY_S:
                said_s = at_s
                self._say(_words(sample, self._feeder.total))
            pause(self._plan.sample_s)

    def _require_alive(self) -> None:
        for name, process in self._flows.items():
            if not process.running:
                message = f"{name} ended with {process.exit_code}"
                raise RuntimeError(message)
        if not self._feeder.running or not self._reader.running:
            message = "the load or its account broke"
            raise RuntimeError(message)

    def _drain(self) -> None:
        """Wait until everything that was written is scored and judged."""
        account, ends = self._reader.account, self._feeder.counts
        self._feeder.close()

        def done() -> bool:
            idle = not any(lag.messages() for lag in self._lags.values())
            return idle and account.reached(ends)

        try:
            until(done, "the last predictions and outcomes", DRAIN_LIMIT_S, 0.2)
        finally:
            self._look()

    def _look(self) -> Sample:
        sample = self._observer.look(time.monotonic() - self._begin)
        self._found.samples.append(sample)
        with self._samples.open("ab") as file:
            file.write(msgspec.json.encode(sample) + b"\n")
        return sample

    def _end_flows(self) -> None:
        """End both as an operator would, and read what they said."""
        wrong = self._found.wrong
        for name, process in self._flows.items():
            if process.running:
                process.terminate()
                try:
                    code = process.wait_exit()
                except AssertionError as late:
                    wrong.append(f"{name}: {late}")
                else:
                    wrong += [f"{name} ended with {code} when it was told to"] if code else []
            said = complaints(process.stderr.splitlines())
            wrong += [f"{name} said: {line:.300}" for line in said]

    def _judge(self) -> None:
        found, plan, account = self._found, self._plan, self._reader.account
        self._reader.close()
        for lag in self._lags.values():
            lag.close()
        account.close(self._feeder.counts)
        found.inputs, found.predictions = self._feeder.total, account.predictions
        found.missing, found.twice = account.missing, account.twice
        found.wrong += delivery(account, found.inputs)
        if found.samples:
            found.wrong += growth(second_half(found.samples), FLOWS, plan.rss_limit_per_h)
            for name in FLOWS:
                found.wrong += lags(found.samples, name, plan.rhythm, plan.at_rest)

    def _histograms(self) -> tuple[dict[float, float], dict[float, float]]:
        names = ("voltick_commit_seconds", "voltick_tick_to_commit_seconds")
        commit, latency = (histogram(self._port, name) for name in names)
        return commit, latency


def _process_ids(
    kafka: ApacheKafka, valkey: Valkey, flows: Mapping[str, Process]
) -> dict[str, int]:
    servers = {f"kafka-{node.number}": node.process for node in kafka.nodes}
    servers["valkey"] = valkey.process
    found = {name: process.pid for name, process in flows.items()}
    found |= {name: server.pid for name, server in servers.items() if server is not None}
    return {**found, "soak": os.getpid()}


def _words(sample: Sample, inputs: int) -> str:
    memory = ", ".join(f"{name} {sample.rss_mb[name]:.0f} MB" for name in FLOWS)
    lag = ", ".join(f"{name} {messages}" for name, messages in sample.lag.items())
    return f"{inputs} inputs; {memory}; lag: {lag}"
