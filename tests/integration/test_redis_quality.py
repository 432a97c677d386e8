"""Live quality's way into Redis: capped, and never in the flow's way."""

import msgspec
import numpy as np

from flows.connectors.redis import quality
from flows.connectors.redis.quality import QualityWriter
from flows.monitoring.figures import classifier_sums
from flows.monitoring.quality_windows import beside, combine, model_window
from flows.numeric.time import NS_PER_S
from schemas import topics
from schemas.quality import QualityPoint, QualityWindow
from tests.support.polling import until

KEY = topics.quality_key("spike")


def window(ts_ns: int, partition: int = 0, truths: int = 4) -> QualityWindow:
    sums = classifier_sums(np.full(truths, 0.5), np.ones(truths))
    return QualityWindow(
        target="spike",
        kind="classification",
        partition=partition,
        ts_ns=ts_ns,
        champion="a@1",
        models={"a@1": model_window("logreg", 0, [sums])},
    )


def point_of(own, others):
    return combine(beside(own, others, 3600 * NS_PER_S))


def newest(database) -> QualityPoint:
    [(_id, fields)] = database.xrevrange(KEY, count=1)
    return msgspec.json.decode(fields[b"message"], type=QualityPoint)


def times(database) -> list[int]:
    entries = database.xrange(KEY)
    return [msgspec.json.decode(fields[b"message"])["ts_ns"] for _id, fields in entries]


def test_points_are_appended_in_order_and_the_stream_is_capped(valkey, database, monkeypatch):
    monkeypatch.setattr(quality, "HISTORY_LENGTH", 100)
    writer = QualityWriter(valkey.url, point_of)
    for ts_ns in range(600):
        writer.put([[window(ts_ns)]])
        until(lambda: not writer._queue, "the queue to drain")
    writer.close()
    kept = times(database)
    assert kept == list(range(600 - len(kept), 600))
    assert len(kept) < 300


def test_points_wait_for_a_redis_that_is_away(valkey, database):
    writer = QualityWriter(valkey.url, point_of)
    writer.put([[window(1)]])
    until(lambda: times(database) == [1] and not writer._queue, "the first point and its answer")
    valkey.kill()
    writer.put([[window(2)]])
    valkey.start()
    until(lambda: times(database) == [2], "the point that waited")
    writer.close()


def test_the_oldest_goes_when_redis_stays_away():
    writer = QualityWriter("redis://127.0.0.1:1/0", point_of)
    writer.put([[window(ts_ns)] for ts_ns in range(1000)])
    assert len(writer._queue) <= 100
    writer.close()


def test_points_of_two_processes_count_the_partitions_of_both(valkey, database):
    one, two = QualityWriter(valkey.url, point_of), QualityWriter(valkey.url, point_of)
    one.put([[window(1, 0, 4), window(3, 2, 2)]])
    until(lambda: times(database) == [3], "the first process's point")
    assert newest(database).models[0].count == 6
    two.put([[window(5, 1, 10)]])
    until(lambda: times(database) == [3, 5], "the second process's point")
    assert newest(database).models[0].count == 16
    one.put([[window(7, 0, 5), window(8, 2, 2)]])
    until(lambda: times(database) == [3, 5, 8], "the first process's next point")
    assert newest(database).models[0].count == 17
    one.close()
    two.close()


def test_what_another_writer_left_in_the_way_counts_for_nothing(valkey, database):
    key = topics.quality_windows_key("spike")
    far = msgspec.json.encode(window(2 * 3600 * NS_PER_S, 7))
    entries = {"1": b"\xff{", "2": msgspec.json.encode(window(1, 3)), "7": far, "x": b"{}"}
    database.hset(key, mapping=entries)
    writer = QualityWriter(valkey.url, point_of)
    writer.put([[window(1, 0, 4)]])
    until(lambda: times(database) == [1], "the point")
    writer.close()
    assert newest(database).models[0].count == 4


def test_keys_of_a_foreign_type_are_removed(valkey, database):
    database.set(KEY, "x")
    database.set(topics.quality_windows_key("spike"), "x")
    writer = QualityWriter(valkey.url, point_of)
    writer.put([[window(1, 0, 4)]])
    until(lambda: database.type(KEY) == b"stream" and times(database) == [1], "the point")
    writer.close()
