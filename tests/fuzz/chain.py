"""The flow's own steps in one process, without engine and broker."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.codec.batch import DUPLICATE, RawBatch
from flows.codec.outputs import OutputBatch
from flows.codec.row_writer import row_writer_kernel
from flows.codec.tick_parser import tick_parser_kernel
from flows.monitoring.metrics import PipelineMetrics
from flows.scoring.baseline import ensure_baseline
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from flows.stages.encode import EncodeStep
from flows.stages.score import DecodeStep, FeatureStep, ScoreStep
from schemas import topics
from tests.proof.checker import Outputs
from tests.support.kafka.tools import Message, Outgoing

TARGET = "volatility_spike"


def baseline_scorer(folder: Path) -> Scorer:
    """Return a scorer of the built-in model, in a store in ``folder``."""
    store = ModelStore(folder)
    ensure_baseline(store, TARGET)
    return Scorer(store, (TARGET,))


@dataclass
class Chain:
    """decode, features, score, encode; fresh state.

    Attributes
    ----------
    outputs
        What would be on the output topics.
    duplicates
        Origins of ticks that the features' state knew already.
    """

    scorer: Scorer
    outputs: Outputs = field(default_factory=Outputs)
    duplicates: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        metrics = PipelineMetrics()
        self._decode = DecodeStep(
            topics.TICKS_RAW, frozenset(), metrics, parse=tick_parser_kernel().compile
        )
        self._features = FeatureStep(metrics)
        self._score = ScoreStep(self.scorer, metrics)
        self._encode = EncodeStep(
            topics.TICKS_RAW, metrics, publish_features=True, write=row_writer_kernel().compile
        )

    def run(self, batch: RawBatch) -> OutputBatch:
        """Take one batch through all steps and keep what comes out."""
        featured = self._features(self._decode(batch))
        ticks, flags = featured.decoded.ticks, featured.features.flags
        again = ticks.offset[(flags & DUPLICATE) != 0].tolist()
        self.duplicates.update((batch.partition, offset) for offset in again)
        _key, encoded = self._encode(self._score(featured))
        made = encoded.completed()
        kept = {
            topics.PREDICTIONS: self.outputs.predictions,
            topics.TICKS_FEATURES: self.outputs.features,
            topics.DEAD_LETTERS: self.outputs.dead_letters,
        }
        for records in made.records:
            goal = kept[records.topic]
            for key, value in zip(records.keys, records.values, strict=True):
                goal.append(Message(batch.partition, len(goal), 0, key, value))
        return made


def as_log(messages: Sequence[Outgoing]) -> list[Message]:
    """Return the messages as they would lie on ``ticks.raw``, in the order of writing."""
    ends: dict[int, int] = {}
    log = []
    for each in messages:
        offset = ends.get(each.partition, 0)
        ends[each.partition] = offset + 1
        log.append(Message(each.partition, offset, each.timestamp_ms, each.key, each.value))
    return log


def batches(log: Sequence[Message], seed: int, longest: int = 400) -> list[RawBatch]:
    """Cut a log into batches of one partition each, at places drawn by the seed."""
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    cut = []
    for partition in sorted({message.partition for message in log}):
        own = [message for message in log if message.partition == partition]
        at = 0
        while at < len(own):
            part = own[at : at + random_.randint(1, longest)]
            at += len(part)
            cut.append(
                RawBatch(
                    partition=partition,
                    values=[message.value for message in part],
                    offsets=[message.offset for message in part],
                    timestamps_ms=[message.timestamp_ms for message in part],
                    next_offset=part[-1].offset + 1,
                )
            )
    return cut
