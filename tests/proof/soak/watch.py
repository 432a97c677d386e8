"""Looks at processes, commits, predictions and metrics while a soak goes on."""

import threading
import urllib.request
from collections.abc import Mapping

import msgspec
import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from schemas import topics
from tests.proof.soak.account import Account
from tests.proof.soak.judge import Sample

_ANSWER_S = 10.0
_MB = 1_048_576.0


class Lag:
    """What a flow has not committed yet.

    Parameters
    ----------
    group, topic, partitions
        Whose commits on which input.
    transactional
        The topic's log then ends with a transaction's marker, which nobody commits.
    """

    def __init__(
        self,
        config: Mapping[str, str],
        group: str,
        topic: str,
        partitions: int,
        *,
        transactional: bool = False,
    ) -> None:
        self._parts = [TopicPartition(topic, part) for part in range(partitions)]
        self._markers = 1 if transactional else 0
        # Uncommitted: under load some transaction is always open, and the stable commit never told.
        options = {"group.id": group, "isolation.level": "read_uncommitted"}
        self._consumer = Consumer({**config, **options, "enable.auto.commit": False})

    def messages(self) -> int:
        """Return how many messages, all partitions together."""
        lag = 0
        for answer in self._consumer.committed(self._parts, timeout=_ANSWER_S):
            _, end = self._consumer.get_watermark_offsets(answer, timeout=_ANSWER_S)
            lag += max(end - self._markers - max(answer.offset, 0), 0)
        return lag

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()


class _Lineage(msgspec.Struct):
    partition: int
    offset: int


class Reader:
    """Enters every committed prediction into an account, from a thread of its own."""

    def __init__(self, config: Mapping[str, str], partitions: int) -> None:
        self.account = Account()
        self._consumer = Consumer(
            {**config, "group.id": "soak-reader", "enable.auto.commit": False}
        )
        parts = range(partitions)
        self._consumer.assign(
            [TopicPartition(topics.PREDICTIONS, part, OFFSET_BEGINNING) for part in parts]
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-reader", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has neither been closed nor ended by an error."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread; the account is complete up to here."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        decode = msgspec.json.Decoder(_Lineage).decode
        while not self._stop.is_set():
            for message in self._consumer.consume(5_000, 0.1):
                if message.error() is None:
                    origin = decode(message.value() or b"")
                    self.account.enter(message.partition() or 0, origin.partition, origin.offset)


class Observer:
    """Takes samples.

    Parameters
    ----------
    processes
        Process ids by name.
    lags
        By flow.
    """

    def __init__(self, processes: Mapping[str, int], lags: Mapping[str, Lag]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self._lags = lags

    def look(self, at_s: float) -> Sample:
        """Take one.

        Raises
        ------
        psutil.Error
            A process has ended.
        confluent_kafka.KafkaException
            The broker does not answer.
        """
        found = self._processes.items()
        return Sample(
            at_s,
            {name: process.memory_info().rss / _MB for name, process in found},
            {name: process.num_fds() for name, process in found},
            {name: process.num_threads() for name, process in found},
            {flow: lag.messages() for flow, lag in self._lags.items()},
        )


def histogram(port: int, name: str) -> dict[float, float]:
    """Return a histogram of ``127.0.0.1:port/metrics``: cumulative counts by upper bound."""
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:
        text = answer.read().decode()
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        if family.name == name
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }


def since(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """Return what a histogram has counted between two looks."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
