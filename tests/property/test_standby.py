"""A state that was followed and taken over gives the outputs of one that is rebuilt, bit for bit.

The log hits every rule; the owner commits wherever the seed says; the follower sees no more than
what is committed, in batches of its own. The rebuilt state is the oracle.
"""

import random
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
import pytest

from flows.codec.batch import RawBatch
from flows.codec.rows import FeatureRows
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.standby import Follower
from flows.monitoring.metrics import PipelineMetrics
from flows.stages.score import DecodeStep, FeatureStep
from schemas.dead_letters import DeadLetter
from tests.proof.inputs import messages
from tests.support.feature_checks import assert_same_bits
from tests.support.kafka.tools import Outgoing

MAX_SYMBOLS = 8
TOPIC = "ticks.raw"


class Reader:
    """Reads a log in batches of lengths that the seed draws."""

    def __init__(self, log: list[Outgoing], start: Start, epoch: int, seed: int) -> None:
        self._log, self._at, self._epoch = log, start.read_from, epoch
        self._random = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed

    def next_batch(self) -> list[RawBatch]:
        stop = min(self._at + self._random.randint(1, 300), len(self._log))
        if stop == self._at:
            return []
        made = raw(self._log, self._at, stop, self._epoch)
        self._at = stop
        return [made]

    def close(self) -> None:
        """Nothing is open."""


def raw(log: list[Outgoing], start: int, stop: int, epoch: int) -> RawBatch:
    part = log[start:stop]
    return RawBatch(
        partition=0,
        values=[each.value for each in part],
        offsets=list(range(start, stop)),
        timestamps_ms=[each.timestamp_ms for each in part],
        next_offset=stop,
        emit=False,
        epoch=epoch,
    )


@dataclass
class Steps:
    """The steps that hold state, as a process has them; epochs tell its states apart."""

    metrics: PipelineMetrics = field(default_factory=PipelineMetrics)

    def __post_init__(self) -> None:
        self.decode = DecodeStep(TOPIC, frozenset(), self.metrics, MAX_SYMBOLS)
        self.features = FeatureStep(self.metrics, max_symbols=MAX_SYMBOLS)

    def run(self, batch: RawBatch) -> tuple[FeatureRows, list[DeadLetter], int]:
        """Return rows, dead letters, and where a rebuild of the state would begin."""
        featured = self.features(self.decode(batch))
        begins = featured.decoded.symbols.gap_marks.rebuild_from(
            featured.features.rebuild_from, batch.next_offset
        )
        return featured.features, featured.decoded.dead, begins


def commits(log: list[Outgoing], seed: int) -> list[tuple[int, int]]:
    """Return what the owner commits, one after another: the offset and its ``rebuild_from``."""
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    steps, found, at = Steps(), [], 0
    while at < len(log):
        stop = min(at + random_.randint(1, 500), len(log))
        found.append((stop, steps.run(raw(log, at, stop, 1))[2]))
        at = stop
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_followed_and_taken_over_is_rebuilt(seed: int, form: str) -> None:
    length = 9_000 if form == "compiled" else 1_500
    log = list(islice(messages(seed, 1), length))
    owner = commits(log, seed)
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    first = random_.randrange(len(owner) // 3)
    steps = Steps()
    begin = Start(0, owner[first][1], owner[first][0])

    def read(start: Start, epoch: int) -> Any:
        return Reader(log, start, epoch, seed)

    follower = Follower(begin, 2, begin.read_from, read)
    takeovers = zip(owner[first:], owner[first + 1 :], strict=False)
    for number, (known, at_takeover) in enumerate(takeovers):
        while follower.has_work(known[0]):
            for batch in follower.read(known[0]):
                assert batch.next_offset <= known[0]
                steps.run(batch)
        assert follower.serves(Start(0, known[1], known[0]))
        committed, rebuild_from = at_takeover
        # A crowd may have ended what was remembered: then a rebuild begins later.
        serves = follower.serves(Start(0, rebuild_from, committed))
        assert serves == (rebuild_from <= known[0])
        if serves and number > len(owner) // 3:
            break
    steps.run(raw(log, follower.next_offset, committed, 2))

    rebuilt = Steps()
    rebuilt.run(raw(log, rebuild_from, committed, 3))
    stop = min(committed + 900, len(log))
    got, letters, begins = steps.run(raw(log, committed, stop, 2))
    want, expected, expected_begins = rebuilt.run(raw(log, committed, stop, 3))
    assert_same_bits(got, want)
    assert list(map(msgspec.json.encode, letters)) == list(map(msgspec.json.encode, expected))
    assert begins == expected_begins
