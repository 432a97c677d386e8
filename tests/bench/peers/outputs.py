"""The outputs of a peer as the broker keeps them, and what can be told from them."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.numeric.arrays import Float64, Int64

_OFFSET = re.compile(rb'"offset":\s*(\d+)')
_MOST = 10_000
_QUIET_S = 20.0


@dataclass(frozen=True)
class Outputs:
    """Committed messages of an output topic in its order.

    Attributes
    ----------
    appended_ms
        When the broker appended each, milliseconds since the UNIX epoch, int64, shape (n,).
    values
        The messages.
    """

    appended_ms: Int64
    values: list[bytes]

    @cached_property
    def inputs(self) -> Int64:
        """Offset of the input that each is of, int64, shape (n,).

        Raises
        ------
        ValueError
            One says none, as a copy of an input does.
        """
        return np.array([input_offset(value) for value in self.values], np.int64)

    def __len__(self) -> int:
        return len(self.values)


def input_offset(value: bytes) -> int:
    """Return the offset of the input that an output is of.

    Raises
    ------
    ValueError
        It says none.
    """
    found = _OFFSET.findall(value)
    if not found:
        message = f"not an output: {value!r:.200}"
        raise ValueError(message)
    return int(found[-1])


class OutputTopic:
    """Partition 0 of a topic, from where it ended when this was made; committed messages alone."""

    def __init__(self, config: Mapping[str, str], topic: str) -> None:
        self._partition = TopicPartition(topic, 0)
        self._consumer = Consumer(
            {
                **config,
                "group.id": "bench-peers-outputs",  # names no commit
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "log_level": 2,
            }
        )
        self.begin = self.end()

    def end(self) -> int:
        """Return the offset behind the last message that a reader of committed data can see."""
        return int(self._consumer.get_watermark_offsets(self._partition, timeout=10)[1])

    def read(self, end: int | None = None) -> Outputs:
        """Return everything since the beginning up to an offset, or up to what is there now."""
        limit = self.end() if end is None else end
        appended: list[int] = []
        values: list[bytes] = []
        self._consumer.assign([TopicPartition(self._partition.topic, 0, self.begin)])
        heard_s = time.monotonic()
        while self._at() < limit and time.monotonic() - heard_s < _QUIET_S:
            for message in self._consumer.consume(_MOST, 0.1):
                if message.error() is not None:
                    raise KafkaException(message.error())
                heard_s = time.monotonic()
                appended.append(message.timestamp()[1])
                values.append(message.value() or b"")
        self._consumer.unassign()
        return Outputs(np.array(appended, np.int64), values)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _at(self) -> int:
        # Behind a transaction's end mark, where there is no message to be had.
        (at,) = self._consumer.position([self._partition])
        return max(int(at.offset), self.begin)


@dataclass(frozen=True)
class Slope:
    """The steady part of a run, from one moment of the broker's clock to another."""

    begin_ns: int
    end_ns: int
    count: int

    @property
    def ticks_per_s(self) -> float:
        """Outputs a second."""
        return self.count / ((self.end_ns - self.begin_ns) / 1e9)


def slope_of(appended_ms: Int64, skip: float = 0.2) -> Slope:
    """Return the steady part of a run from when its outputs were appended.

    The first outputs are left out, and all that were appended with the last of them: start-up and
    compiling do not count, nor does the first batch of an engine that works in batches.

    Parameters
    ----------
    appended_ms
        Of each output, shape (n,).
    skip
        Share of the outputs that does not count.

    Raises
    ------
    ValueError
        Everything was appended at once.
    """
    times = np.sort(appended_ms)
    first = times[int(skip * (len(times) - 1))] if len(times) else 0
    left = times[times > first]
    if not len(left):
        message = f"{len(times)} outputs came all at once: there is no rate to be told"
        raise ValueError(message)
    return Slope(int(first) * 1_000_000, int(left[-1]) * 1_000_000, len(left))


@dataclass(frozen=True)
class Account:
    """What became of the inputs, in numbers of inputs.

    Attributes
    ----------
    lost, twice
        Without an output, and with more than one.
    different
        With an output whose score is not the one expected.
    """

    lost: int
    twice: int
    different: int


def account_of(
    outputs: Outputs, expected: Float64, tolerance: float = 1e-6, first: int = 0
) -> Account:
    """Compare outputs with the scores of all inputs.

    Parameters
    ----------
    expected
        By offset from 0, float64, shape (n,).
    first
        Offset of the first input that counts.
    """
    counts = np.bincount(outputs.inputs, minlength=len(expected))[first:]
    scores = np.array([score_of(value) for value in outputs.values])
    wrong = np.abs(scores - expected[outputs.inputs]) > tolerance
    return Account(
        lost=int((counts == 0).sum()),
        twice=int((counts > 1).sum()),
        different=len(np.unique(outputs.inputs[wrong])),
    )


class _Score(msgspec.Struct):
    score: float


class _Output(msgspec.Struct):
    score: float | None = None
    scores: dict[str, _Score] = {}
    features: list[float | None] | None = None


_DECODE = msgspec.json.Decoder(_Output).decode


def score_of(value: bytes) -> float:
    """Return the score that an output tells, a peer's or our own."""
    found = _DECODE(value)
    if found.score is not None:
        return found.score
    (only,) = found.scores.values()
    return only.score


def features_of(value: bytes) -> list[float]:
    """Return the features that an output carries; NaN where it says null.

    Raises
    ------
    ValueError
        It carries none.
    """
    found = _DECODE(value).features
    if found is None:
        message = f"no features in {value!r:.200}"
        raise ValueError(message)
    return [float("nan") if each is None else each for each in found]
