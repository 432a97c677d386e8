"""The newest prediction per symbol in a real Redis: what wins, what is sampled, what survives."""

from collections.abc import Callable, Iterator

import pytest
import redis

from flows.codec.outputs import Latest
from flows.connectors.redis.latest import LatestWriter, NewestPredictions
from flows.connectors.redis.writer import connect
from schemas import topics
from tests.support.embedded import Valkey
from tests.support.polling import until

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as made:
        yield made


@pytest.fixture
def write(valkey: Valkey) -> Iterator[Callable[..., None]]:
    """Write entries one after another; each is there, or was refused, before the next."""
    newest = NewestPredictions(history_length=5)
    with connect(valkey.url) as own:

        def each(*entries: Latest) -> None:
            for entry in entries:
                newest.put([entry])
                newest.write(own)

        yield each


def entry(at_ns: int, symbol: str = "BTC-USD", text: str | None = None) -> Latest:
    return Latest(symbol, 0, START_NS + at_ns, (text or f"m{at_ns}").encode())


def message(client: redis.Redis, symbol: str = "BTC-USD") -> bytes | None:
    return client.hget(topics.latest_key(symbol), "message")


def test_the_newest_is_there_with_its_symbol_and_time(client, write):
    write(entry(5))
    assert client.hgetall(topics.latest_key("BTC-USD")) == {
        b"message": b"m5",
        b"ts_scored_ns": str(START_NS + 5).encode(),
    }
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD"}


def test_an_older_one_never_replaces_a_newer(client, write, valkey):
    write(entry(5))
    other = LatestWriter(valkey.url, history_length=5)
    other.put([entry(4), entry(5, text="same")])
    other.close()
    assert message(client) == b"m5"


def test_times_are_compared_to_the_nanosecond(client, valkey):
    first = LatestWriter(valkey.url, 5)
    first.put([Latest("A", 1, 2**60 + 1, b"new")])
    first.close()
    second = LatestWriter(valkey.url, 5)
    second.put([Latest("A", 0, 2**60, b"old")])
    second.close()
    assert message(client, "A") == b"new"


def test_history_is_sampled_and_capped(client, write):
    write(*[entry(at * 10 * MS) for at in range(12)])
    kept = [fields[b"message"] for _, fields in client.xrange(topics.history_key("BTC-USD"))]
    assert kept == [b"m0", b"m50000000", b"m100000000"]


def test_history_is_per_symbol(client, write):
    write(entry(0), entry(1, "ETH-USD"), entry(2, "ETH-USD"))
    assert client.xlen(topics.history_key("BTC-USD")) == 1
    assert client.xlen(topics.history_key("ETH-USD")) == 1
    assert message(client, "ETH-USD") == b"m2"


def test_what_is_written_is_published(client, write):
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(topics.STREAM_CHANNEL)
    until(lambda: client.pubsub_numsub(topics.STREAM_CHANNEL)[0][1] == 1, "the subscription")
    write(entry(1))
    heard = until(lambda: channel.get_message(timeout=0.1), "the message")
    assert heard["data"] == b"m1"
    channel.close()


def test_of_what_came_meanwhile_only_the_newest_is_written(client, valkey):
    valkey.pause()
    writer = LatestWriter(valkey.url, 5)
    for at in range(100):
        writer.put([entry(at)])
    valkey.resume()
    writer.close(10.0)
    assert message(client) == b"m99"
    assert client.xlen(topics.history_key("BTC-USD")) <= 2


def test_without_redis_it_waits_and_writes_the_newest_when_it_is_back(valkey):
    valkey.kill()
    writer = LatestWriter(valkey.url, 5)
    writer.put([entry(1), entry(2, "ETH-USD")])
    writer.put([entry(3)])
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        until(lambda: message(client) == b"m3", "the newest")
        until(lambda: message(client, "ETH-USD") == b"m2", "the other symbol")
    writer.close()


def test_a_redis_that_came_back_empty_gets_everything_again(valkey):
    writer = LatestWriter(valkey.url, 5)
    writer.put([entry(1), entry(2, "ETH-USD")])
    with redis.Redis.from_url(valkey.url) as client:
        until(lambda: message(client, "ETH-USD") == b"m2", "the first write")
    valkey.kill()
    valkey.start()
    writer.put([entry(3)])
    with redis.Redis.from_url(valkey.url) as client:
        until(lambda: message(client) == b"m3", "the newest")
        until(lambda: message(client, "ETH-USD") == b"m2", "the quiet symbol")
    writer.close()


def test_an_emptied_redis_gets_everything_again(client, write):
    write(entry(1), entry(2, "ETH-USD"))
    client.flushall()
    client.script_flush()
    write(entry(3))
    assert (message(client), message(client, "ETH-USD")) == (b"m3", b"m2")


def test_closing_writes_what_is_pending(client, valkey):
    writer = LatestWriter(valkey.url, 5)
    writer.put([entry(1)])
    writer.close()
    assert message(client) == b"m1"


def test_closing_does_not_wait_for_a_redis_that_is_away(valkey):
    valkey.kill()
    writer = LatestWriter(valkey.url, 5)
    writer.put([entry(1)])
    writer.close(5.0)
    assert not writer._thread.running
