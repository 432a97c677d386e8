"""Live quality's way into Redis: capped, and never in the flow's way."""

import msgspec

from flows.connectors.redis import quality
from flows.connectors.redis.quality import QualityWriter
from schemas import topics
from schemas.quality import QualityPoint
from tests.support.polling import until

KEY = topics.quality_key("spike")


def point(ts_ns: int) -> QualityPoint:
    return QualityPoint(target="spike", kind="classification", ts_ns=ts_ns, from_ns=0, models=[])


def times(database) -> list[int]:
    entries = database.xrange(KEY)
    return [msgspec.json.decode(fields[b"message"])["ts_ns"] for _id, fields in entries]


def test_points_are_appended_in_order_and_the_stream_is_capped(valkey, database, monkeypatch):
    monkeypatch.setattr(quality, "HISTORY_LENGTH", 100)
    writer = QualityWriter(valkey.url)
    for ts_ns in range(600):
        writer.put([point(ts_ns)])
        until(lambda: not writer._queue, "the queue to drain")
    writer.close()
    kept = times(database)
    assert kept == list(range(600 - len(kept), 600))
    assert len(kept) < 300


def test_points_wait_for_a_redis_that_is_away(valkey, database):
    writer = QualityWriter(valkey.url)
    writer.put([point(1)])
    until(lambda: times(database) == [1] and not writer._queue, "the first point and its answer")
    valkey.kill()
    writer.put([point(2)])
    valkey.start()
    until(lambda: times(database) == [2], "the point that waited")
    writer.close()


def test_the_oldest_goes_when_redis_stays_away():
    writer = QualityWriter("redis://127.0.0.1:1/0")
    writer.put([point(ts_ns) for ts_ns in range(1000)])
    assert len(writer._queue) <= 100
    writer.close()
