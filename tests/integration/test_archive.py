"""The running archive flow: each message of each topic once, also under kills."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.connectors.parquet import layout
from schemas import topics
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle
from tests.support import pipeline
from tests.support.archive import archived_until, compare
from tests.support.kafka.tools import Outgoing, create_topics, delete_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

PARTITIONS = pipeline.PARTITIONS
ENCODE = msgspec.json.Encoder().encode


class Archive:
    """An archive of a broker's topics, and what was written to these."""

    def __init__(self, broker, group: str, folder: Path) -> None:
        self.broker, self.group, self.folder = broker, group, folder
        self.root = folder / "archive"
        self.counts = {topic: [0] * PARTITIONS for topic in topics.ARCHIVED}
        create_topics(broker.client_config(), PARTITIONS)

    def write(self, topic: str, messages: list[Outgoing]) -> None:
        for each in messages:
            self.counts[topic][each.partition] += 1
        fill(self.broker.client_config(), messages, topic)

    def write_ticks(self, first: int, end: int) -> None:
        self.write(topics.TICKS_RAW, [pipeline.tick(number) for number in range(first, end)])

    def flow(self, name: str = "archive", **more: str) -> Process:
        settings = {
            **pipeline.settings(self.broker, self.group, self.folder),
            "VOLTICK_ARCHIVE": str(self.root),
            "VOLTICK_ARCHIVE_INTERVAL_S": "0.2",
            **more,
        }
        return flow("flows.archive", self.folder, settings, name)

    def total(self, topic: str = topics.TICKS_RAW) -> int:
        return sum(archived_until(self.root, topic, PARTITIONS).values())

    def wait_archived(self, process: Process) -> None:
        for topic, counts in self.counts.items():

            def done(topic: str = topic, counts: list[int] = counts) -> bool:
                assert process.running, process.tail()
                return self.total(topic) >= sum(counts)

            until(done, f"all of {topic} archived", 90.0)

    def assert_each_message_once(self) -> None:
        for topic, counts in self.counts.items():
            messages = read_topic(self.broker.client_config(), topic, at_least=sum(counts))
            assert len(messages) == sum(counts)
            found = compare(self.root, topic, messages)
            assert found.is_equal, found


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
    return {topic: ENCODE(one) for topic, one in made.items()}


@pytest.mark.timeout(240)
def test_each_message_of_each_topic_comes_once_and_the_flow_goes_on(broker, group, tmp_path):
    archive = Archive(broker, group, tmp_path)
    archive.write_ticks(0, 1_000)
    made = [outputs(number) for number in range(40)]
    for topic in made[0]:
        archive.write(
            topic,
            [
                Outgoing(at % PARTITIONS, b"k", each[topic], 1_000 + at)
                for at, each in enumerate(made)
            ],
        )
    with archive.flow("first") as first:
        archive.wait_archived(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    foreign = [b"{", b"\xff", b"[1]", b"", b'{"symbol":"A"}']
    for topic in topics.ARCHIVED:
        archive.write(topic, [Outgoing(0, b"x", value, 5) for value in foreign])
    archive.write_ticks(1_000, 1_500)
    with archive.flow("second", VOLTICK_ARCHIVE_INTERVAL_S="3600") as second:
        second.wait_for_log("archive ready", 60.0)
        second.terminate()  # what was read by then is written
        assert second.wait_exit(30) == 0, second.tail()
    with archive.flow("third") as third:
        archive.wait_archived(third)
        third.interrupt()
        assert third.wait_exit(30) == 0, third.tail()
    archive.assert_each_message_once()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_nothing_is_missing_or_twice_after_kills(apache_kafka, group, tmp_path):
    archive = Archive(apache_kafka, group, tmp_path)
    random = np.random.default_rng(5)
    archive.write_ticks(0, 3_000)
    for number in range(4):
        more = {"VOLTICK_BATCH_SIZE": "200", "VOLTICK_ARCHIVE_ROWS": "150"}
        with archive.flow(f"run-{number}", **more) as process:
            before = archive.total()
            archive.write_ticks(3_000 * (number + 1), 3_000 * (number + 2))
            wanted = before + int(random.integers(1, 3_000))
            until(lambda enough=wanted: archive.total() >= enough, "some progress", 60.0)
            process.kill()
    with archive.flow("last") as last:
        archive.wait_archived(last)
        last.terminate()
        assert last.wait_exit(30) == 0, last.tail()
    archive.assert_each_message_once()


@pytest.mark.timeout(120)
def test_a_second_archive_of_the_same_folder_is_refused_by_name(embedded_broker, group, tmp_path):
    archive = Archive(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_archived(first)
        with archive.flow("second") as second:
            second.wait_for_log("archive ready", 60.0)
            archive.write_ticks(100, 200)
            assert second.wait_exit(60) == 2
            assert "another process archives partition" in second.stderr
        archive.wait_archived(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    archive.assert_each_message_once()


@pytest.mark.timeout(120)
def test_a_log_that_is_behind_the_archive_is_refused_with_the_choice(broker, group, tmp_path):
    archive = Archive(broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_archived(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    before = sorted(path.name for path in archive.root.rglob("*.parquet"))
    config = broker.client_config()
    delete_topics(config)
    create_topics(config, PARTITIONS)
    archive.write_ticks(0, 30)
    with archive.flow("second") as second:
        assert second.wait_exit(60) == 2
        assert "so the topic was recreated" in second.stderr
        assert "VOLTICK_ACCEPT_STATE_LOSS" in second.stderr
    assert sorted(path.name for path in archive.root.rglob("*.parquet")) == before
    with archive.flow("third", VOLTICK_ACCEPT_STATE_LOSS="true") as third:
        until(
            lambda: archived_until(archive.root, topics.TICKS_RAW, PARTITIONS) == {0: 20, 1: 10},
            "the new topic archived",
            60.0,
        )
        third.terminate()
        assert third.wait_exit(30) == 0, third.tail()
    # What was archived of the earlier topic stays beside it.
    assert set(before) < {path.name for path in archive.root.rglob("*.parquet")}


@pytest.mark.timeout(120)
def test_an_archive_that_cannot_be_written_ends_with_one_error(embedded_broker, group, tmp_path):
    archive = Archive(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 10)
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    with archive.flow("blocked", VOLTICK_ARCHIVE=str(blocked / "archive")) as process:
        assert process.wait_exit(60) == 2
        [line] = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
        assert "cannot be written" in line
        assert "nothing is lost" in line


@pytest.mark.timeout(120)
def test_files_without_their_state_are_not_archived_once_more(embedded_broker, group, tmp_path):
    archive = Archive(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_archived(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    (archive.root / layout.state_file(topics.TICKS_RAW, 0)).unlink()
    with archive.flow("second") as second:
        assert second.wait_exit(60) == 2
        assert "restore it, or archive into another folder" in second.stderr
