"""Topics, and the archive that ``flows.archive`` makes of them: written, watched, compared."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from schemas import topics
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle
from tests.support import pipeline
from tests.support.archive import archived_until, compare
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import Outgoing, create_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

PARTITIONS = pipeline.PARTITIONS
_ENCODE = msgspec.json.Encoder().encode

Broker = ApacheKafka | EmbeddedBroker


class ArchivedLog:
    """A broker's topics, what was written to them, and the archive of them.

    Parameters
    ----------
    place
        Where the archive lies; in the folder if None.
    settings
        More settings of the flow.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        folder: Path,
        place: str | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self.broker, self.group, self.folder = broker, group, folder
        self.root = place or str(folder / "archive")
        self.counts = {topic: [0] * PARTITIONS for topic in topics.ARCHIVED}
        create_topics(broker.client_config(), PARTITIONS)

    def write(self, topic: str, messages: list[Outgoing]) -> None:
        """Write messages to a topic."""
        for each in messages:
            self.counts[topic][each.partition] += 1
        fill(self.broker.client_config(), messages, topic)

    def write_ticks(self, first: int, end: int) -> None:
        """Write ticks by their numbers."""
        self.write(topics.TICKS_RAW, [pipeline.tick(number) for number in range(first, end)])

    def write_some(self, first: int, end: int) -> None:
        """Write ticks by their numbers, and some messages to the other topics."""
        self.write_ticks(first, end)
        made = [outputs(number) for number in range(first, end, 10)]
        for topic in outputs(0):
            self.write(
                topic,
                [
                    Outgoing(at % PARTITIONS, b"k", each[topic], 1_000 + at)
                    for at, each in enumerate(made)
                ],
            )

    def flow(self, name: str = "archive", **more: str) -> Process:
        """Return, not started yet, the flow."""
        settings = {
            **pipeline.settings(self.broker, self.group, self.folder),
            "VOLTICK_ARCHIVE": self.root,
            "VOLTICK_ARCHIVE_INTERVAL_S": "0.2",
            **self._settings,
            **more,
        }
        return flow("flows.archive", self.folder, settings, name)

    def killable(self, name: str) -> Process:
        """Return, not started yet, the flow, writing many small runs.

        Unless the settings say otherwise it reads all partitions: one that is started after a kill
        has no member's session to wait for.
        """
        small = {"VOLTICK_BATCH_SIZE": "200", "VOLTICK_ARCHIVE_ROWS": "150"}
        return self.flow(name, **{"VOLTICK_ASSIGNMENT": "all", **self._settings, **small})

    def progress(self) -> int:
        """Return how many messages of ``ticks.raw`` are archived."""
        return sum(archived_until(self.root, topics.TICKS_RAW, PARTITIONS).values())

    def total(self) -> int:
        """Return how many messages were written to ``ticks.raw``."""
        return sum(self.counts[topics.TICKS_RAW])

    def wait_done(self, process: Process) -> None:
        """Wait until all that was written is archived."""
        for topic, counts in self.counts.items():

            def done(topic: str = topic, counts: list[int] = counts) -> bool:
                assert process.running, process.tail()
                return sum(archived_until(self.root, topic, PARTITIONS).values()) >= sum(counts)

            until(done, f"all of {topic} archived", 90.0)

    def check(self) -> int:
        """Hold all rows against all messages, and return the number of these."""
        total = 0
        for topic, counts in self.counts.items():
            messages = read_topic(self.broker.client_config(), topic, at_least=sum(counts))
            assert len(messages) == sum(counts)
            found = compare(self.root, topic, messages)
            assert found.is_equal, str(found)[:500]
            total += len(messages)
        return total


def outputs(number: int) -> dict[str, bytes]:
    """Return a message of each other topic, with and without what may be null."""
    place = {"partition": number % PARTITIONS, "offset": number}
    event = {"symbol": "BTC-USD", "venue": "test", "ts_event_ns": pipeline.START_NS + number}
    model = {"model": "m", "version": "1", "variant": "logistic"}
    shadow = {"other@2": 0.1 + number} if number % 2 else {}
    score = TargetScore(score=0.1, decision=None if number % 3 else True, shadow=shadow, **model)
    made = {
        topics.TICKS_FEATURES: FeatureRow(
            feature_set=1, warm=False, values=[None, 0.5, float(number)], **place, **event
        ),
        topics.PREDICTIONS: Prediction(
            trade_id=None if number % 2 else number,
            price=1.5,
            mid=1.25,
            warm=True,
            late=False,
            gap=False,
            scores={"volatility_spike": score, "forward_return": score} if number % 5 else {},
            feature_set=1,
            ts_scored_ns=7,
            **place,
            **event,
        ),
        topics.OUTCOMES: Outcome(
            ts_known_ns=9,
            scores={"volatility_spike": OutcomeScore(score=0.1, truth=1.0, value=0.3, **model)},
            feature_set=1,
            known_offset=number,
            **place,
            **event,
        ),
        topics.CANDLES: Candle(
            symbol="BTC/USD",
            venue="test",
            ts_open_ns=pipeline.START_NS,
            interval_s=60,
            open=1.0,
            high=2.0,
            low=0.5,
            close=1.5,
            tick_count=number + 1,
            volume=None if number % 2 else 3.0,
        ),
    }
    return {topic: _ENCODE(one) for topic, one in made.items()}
