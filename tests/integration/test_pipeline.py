"""The running pipeline on both brokers: one prediction per tick, clean ends, one-line refusals."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
import redis
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.host.lossy_output import SAID_BY
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.predictions import FeatureRow, Prediction
from tests.support.embedded import Valkey
from tests.support.kafka.tools import Outgoing, committed, create_topics, fill
from tests.support.pipeline import (
    PARTITIONS,
    SYMBOLS,
    decoded,
    pipeline,
    tick,
    wait_committed,
)
from tests.support.polling import free_ports, until
from tests.support.processes import Process


def assert_one_clear_line(process: Process, *said: str, exit_code: int = 2) -> None:
    assert process.wait_exit(60) == exit_code, process.tail()
    errors = [line for line in process.stderr.splitlines() if line.startswith(SAID_BY)]
    assert len(errors) == 1, process.tail()
    for each in said:
        assert each in errors[0]
    for alarm in ("Traceback", "panicked", "stack backtrace", "%3|", "%0|"):
        assert alarm not in process.stderr, process.tail()


@pytest.mark.timeout(300)
def test_every_input_is_a_prediction_a_duplicate_or_a_dead_letter(
    broker, group: str, valkey: Valkey, database: redis.Redis, tmp_path: Path
):
    config = broker.client_config()
    inputs = [tick(number) for number in range(300)]
    inputs.insert(100, tick(99))  # a duplicate
    inputs.insert(200, tick(198, price=-1))
    inputs.insert(250, Outgoing(0, None, b"\xff not json", 0))
    with pipeline(broker, group, tmp_path, REDIS_URL=valkey.url) as process:
        process.wait_for_log("pipeline ready", 90.0)
        fill(config, inputs)
        wait_committed(broker, group, len(inputs))

        predictions = decoded(config, topics.PREDICTIONS, Prediction, 300)
        rows = decoded(config, topics.TICKS_FEATURES, FeatureRow, 300)
        letters = decoded(config, topics.DEAD_LETTERS, DeadLetter, 2)
        await_newest(database, predictions)
        process.terminate()
        assert process.wait_exit(20) == 0, process.tail()
        assert "Traceback" not in process.stderr

    assert len(predictions) == 300
    assert predictions.keys() == rows.keys()
    assert Counter(letter.reason.value for letter in letters.values()) == {
        "bad_price": 1,
        "not_json": 1,
    }
    origins = predictions.keys() | letters.keys()
    assert len(origins) == 302  # and one duplicate, which is none of them
    assert all(p.scores["volatility_spike"].variant == "zscore" for p in predictions.values())


def partition_count_of(config) -> int:
    # Not by name: the embedded broker would make the topic up.
    return len(AdminClient(dict(config)).list_topics(timeout=10).topics["dead.letters"].partitions)


def await_newest(client: redis.Redis, predictions: dict[tuple[int, int], Prediction]) -> None:
    """Wait until Redis has the newest prediction of every symbol."""

    def latest(symbol: str) -> Prediction | None:
        found = client.hget(topics.latest_key(symbol), "message")
        return None if found is None else msgspec.json.decode(found, type=Prediction)

    for symbol in SYMBOLS:
        own = [each for each in predictions.values() if each.symbol == symbol]
        newest = max(own, key=lambda each: each.offset)
        until(lambda newest=newest: latest(newest.symbol) == newest, "Redis", 60.0)


@pytest.mark.timeout(300)
def test_a_restart_goes_on_where_the_last_commit_was(broker, group: str, tmp_path: Path):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, [tick(number) for number in range(200)])
    with pipeline(broker, group, tmp_path, "first") as process:
        wait_committed(broker, group, 200)
        process.terminate()
        assert process.wait_exit(20) == 0, process.tail()
    fill(config, [tick(number) for number in range(200, 400)])
    with pipeline(broker, group, tmp_path, "second") as process:
        wait_committed(broker, group, 400)
        process.interrupt()
        assert process.wait_exit(20) == 0, process.tail()
        assert "rebuild=" in process.stderr
    predictions = decoded(config, topics.PREDICTIONS, Prediction, 400)
    assert len(predictions) == 400
    # The second run knew the first one's hour: nothing began anew.
    assert sum(p.restart for p in predictions.values()) == len(SYMBOLS)


@pytest.mark.timeout(300)
def test_restart_brings_redis_up_to_date(
    broker, group: str, valkey: Valkey, database: redis.Redis, tmp_path: Path
):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, [tick(number) for number in range(30)])
    with pipeline(broker, group, tmp_path, "first"):
        wait_committed(broker, group, 30)
    predictions = decoded(config, topics.PREDICTIONS, Prediction, 30)
    with pipeline(broker, group, tmp_path, "second", REDIS_URL=valkey.url):
        await_newest(database, predictions)


def test_an_unreachable_broker_is_one_line(group: str, tmp_path: Path):
    [port] = free_ports(1)

    class Nowhere:
        def environment(self) -> dict[str, str]:
            return {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}

    with pipeline(Nowhere(), group, tmp_path) as process:
        assert_one_clear_line(process, f"127.0.0.1:{port}", "KAFKA_BOOTSTRAP_SERVERS")


def test_topics_of_different_partition_counts_are_refused(broker, group: str, tmp_path: Path):
    config = broker.client_config()
    create_topics(config, 2, names=[topics.TICKS_RAW])
    create_topics(config, 3, names=[topics.PREDICTIONS])
    with pipeline(broker, group, tmp_path) as process:
        assert_one_clear_line(process, "ticks.raw has 2", "predictions has 3")


def test_missing_topics_are_created_with_the_count_of_the_others(
    broker, group: str, tmp_path: Path
):
    config = broker.client_config()
    create_topics(config, 3, names=[topics.TICKS_RAW])
    with pipeline(broker, group, tmp_path) as process:
        process.wait_for_log("pipeline ready", 60.0)
        assert partition_count_of(config) == 3


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_a_recreated_topic_is_refused_until_the_loss_is_accepted(
    apache_kafka, group: str, tmp_path: Path
):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    commit(config, group, 500)
    fill(config, [tick(number) for number in range(30)])
    with pipeline(apache_kafka, group, tmp_path, "refused") as process:
        assert_one_clear_line(
            process, "committed offset 500 is beyond", "VOLTICK_ACCEPT_STATE_LOSS"
        )
    accepted = pipeline(apache_kafka, group, tmp_path, "accepted", VOLTICK_ACCEPT_STATE_LOSS="true")
    with accepted:
        predictions = until(
            lambda: decoded(config, topics.PREDICTIONS, Prediction, 0), "predictions", 60.0
        )
        until(lambda: len(decoded(config, topics.PREDICTIONS, Prediction, 0)) == 30, "all", 60.0)
    assert predictions


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_a_trimmed_log_is_refused_until_the_loss_is_accepted(
    apache_kafka, group: str, tmp_path: Path
):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    fill(config, [tick(number) for number in range(60)])
    with pipeline(apache_kafka, group, tmp_path, "first"):
        wait_committed(apache_kafka, group, 60)
    trim(config, 10)
    with pipeline(apache_kafka, group, tmp_path, "refused") as process:
        assert_one_clear_line(
            process, "the log begins at 10", "10 messages of state", "VOLTICK_ACCEPT_STATE_LOSS"
        )
    fill(config, [tick(number) for number in range(60, 90)])
    trim(config, 45, partitions=1)
    with pipeline(apache_kafka, group, tmp_path, "refused-again") as process:
        assert_one_clear_line(process, "were deleted before they were scored")
    accepted = pipeline(apache_kafka, group, tmp_path, "accepted", VOLTICK_ACCEPT_STATE_LOSS="true")
    with accepted:
        wait_committed(apache_kafka, group, 90)


@pytest.mark.apache
def test_a_younger_instance_ends_the_older_with_one_line(apache_kafka, group: str, tmp_path: Path):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    fill(config, [tick(number) for number in range(60)])
    everything = {"VOLTICK_ASSIGNMENT": "all"}
    with pipeline(apache_kafka, group, tmp_path, "older", **everything) as older:
        wait_committed(apache_kafka, group, 60)
        with pipeline(apache_kafka, group, tmp_path, "younger", **everything) as younger:
            younger.wait_for_log("pipeline ready", 60.0)
            written = 60

            def ends_amid_input() -> bool:
                # What comes before the younger one took over is still the older one's to commit.
                nonlocal written
                fill(config, [tick(number) for number in range(written, written + 30)])
                written += 30
                return not older.running

            until(ends_amid_input, "the end of the older one", 90.0, every_s=0.5)
            assert_one_clear_line(older, "younger instance", group, exit_code=3)
            wait_committed(apache_kafka, group, written)
            assert younger.running
    assert len(decoded(config, topics.PREDICTIONS, Prediction, written)) == written


def commit(config, group: str, offset: int) -> None:
    consumer = Consumer({**config, "group.id": group, "enable.auto.commit": False})
    at = [TopicPartition(topics.TICKS_RAW, part, offset) for part in range(PARTITIONS)]
    until(lambda: _try_commit(consumer, at), "a coordinator", 30.0)
    consumer.close()
    found = committed(config, group, topics.TICKS_RAW, PARTITIONS)
    assert {each.offset for each in found.values()} == {offset}


def _try_commit(consumer, at) -> bool:
    try:
        consumer.commit(offsets=at, asynchronous=False)
    except KafkaException:
        return False
    return True


def trim(config, offset: int, partitions: int = PARTITIONS) -> None:
    admin = AdminClient(dict(config))
    at = [TopicPartition(topics.TICKS_RAW, part, offset) for part in range(partitions)]
    for future in admin.delete_records(at).values():
        future.result(20)
