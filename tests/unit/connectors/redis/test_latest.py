"""The newest prediction per symbol in a real Redis: what wins, and what survives."""

import asyncio

import pytest
import redis
from structlog.testing import capture_logs

from flows.connectors.redis.latest import LatestWriter
from flows.connectors.redis.newest import ENDED_EVERY_S, NewestPredictions
from flows.connectors.redis.writer import connect
from schemas import topics
from serving.scores.channel import open_channel
from tests.support.embedded import Valkey
from tests.support.polling import until
from tests.support.tcp_proxy import TcpProxy
from tests.unit.connectors.redis.entries import (
    HOUR_NS,
    MS,
    START_NS,
    TTL_S,
    Clock,
    Process,
    entry,
    history,
    message,
)


def test_the_newest_is_there_with_its_symbol_time_and_position(client, write):
    write(entry(5))
    assert client.hgetall(topics.latest_key("BTC-USD")) == {
        b"message": b"m5",
        b"ts_scored_ns": str(START_NS + 5).encode(),
        b"log": b"1",
        b"at:0": b"5",
    }
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD"}


def test_an_older_one_never_replaces_a_newer(client, write):
    write(entry(5))
    Process(client).write(entry(4, at_ns=99), entry(5, at_ns=99))
    assert message(client) == b"m5"


def test_the_log_decides_and_no_clock(client):
    """A host whose clock ran an hour ahead hands over to one whose clock is right."""
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(topics.STREAM_CHANNEL)
    until(lambda: client.pubsub_numsub(topics.STREAM_CHANNEL)[0][1] == 1, "the subscription")
    Process(client).write(entry(1, at_ns=HOUR_NS))
    Process(client).write(*[entry(offset, at_ns=offset * 100 * MS) for offset in range(2, 6)])
    assert message(client) == b"m5"
    assert history(client) == [b"m1", b"m2", b"m3", b"m4", b"m5"]
    heard = [until(lambda: channel.get_message(timeout=0.1), "it")["data"] for _ in range(5)]
    assert heard == history(client)
    channel.close()


def test_a_clock_that_is_set_back_leaves_no_hole_in_the_history(client, write):
    write(entry(1, at_ns=HOUR_NS), entry(2, at_ns=1), entry(3, at_ns=2), entry(4, at_ns=60 * MS))
    assert history(client) == [b"m1", b"m2", b"m4"]


def test_what_comes_late_from_an_older_owner_changes_nothing(client):
    older, younger = Process(client), Process(client)
    older.write(entry(1))
    older.newest.put([entry(2, at_ns=HOUR_NS)])  # stopped before it writes this
    younger.write(entry(2), entry(3, at_ns=100 * MS))
    older.newest.write(client)
    assert message(client) == b"m3"
    assert history(client) == [b"m1", b"m2", b"m3"]


def test_a_log_made_anew_begins_with_small_offsets_again(client):
    old, new = Process(client, "old"), Process(client, "new")
    old.write(entry(1000), entry(7, "ETH-USD"))
    new.write(entry(0))
    assert message(client) == b"m0"
    old.write(entry(1001))
    assert message(client) == b"m0"
    new.write(entry(1))
    assert message(client) == b"m1"
    assert message(client, "ETH-USD") == b"m7"


def test_each_partition_of_a_symbol_moves_forward_and_the_last_to_come_is_shown(client):
    process = Process(client)
    process.write(entry(100, partition=0), entry(3, partition=1))
    assert message(client) == b"m3"
    process.write(entry(2, partition=1))
    assert message(client) == b"m3"
    process.write(entry(101, partition=0))
    assert message(client) == b"m101"


def test_an_emptied_redis_shows_again_what_came_last_of_several_partitions(client):
    process = Process(client)
    process.write(entry(3, partition=1), entry(100, partition=0), entry(4, partition=1))
    client.flushall()
    process.newest.write_everything_again()
    process.newest.write(client)
    assert message(client) == b"m4"
    Process(client).write(entry(100, partition=0), entry(4, partition=1))
    assert message(client) == b"m4"


@pytest.mark.parametrize("two", [2**53 - 1, 2**40], ids=["greatest", "great"])
def test_offsets_are_compared_exactly(client, two: int):
    Process(client).write(entry(two))
    Process(client).write(entry(two - 1))
    assert message(client) == f"m{two}".encode()


FOREIGN_VALUES = {
    "text": {"log": b"x", "at:0": b"y"},
    "bytes": {"log": b"\xff\x00", "at:0": b"\xff", "message": b"\xff"},
    "of an earlier version": {"ts_scored_ns": str(START_NS + HOUR_NS).encode(), "message": b"old"},
    "of a log that was not numbered": {"log": b"-1", "at:0": b"9999"},
}


@pytest.mark.parametrize("kind", FOREIGN_VALUES)
def test_foreign_values_in_the_hash_are_replaced(client, write, kind: str):
    client.hset(topics.latest_key("BTC-USD"), mapping=FOREIGN_VALUES[kind])
    client.hset(topics.LOGS_KEY, "log", b"x")
    write(entry(5))
    assert message(client) == b"m5"
    Process(client).write(entry(4))
    assert message(client) == b"m5"


def test_foreign_keys_make_room(client, write):
    for key in (
        topics.latest_key("BTC-USD"),
        topics.history_key("BTC-USD"),
        topics.SYMBOLS_KEY,
        topics.LOGS_KEY,
    ):
        client.set(key, b"\xff")
    write(entry(1), entry(2, "ETH-USD"))
    assert (message(client), message(client, "ETH-USD")) == (b"m1", b"m2")
    assert history(client) == [b"m1"]
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD", b"ETH-USD"}


def test_a_symbol_lives_as_long_as_it_is_scored(client):
    clock = Clock()
    process = Process(client, clock=clock)
    process.write(entry(1), entry(2, "ETH-USD"))
    keys = [topics.latest_key("ETH-USD"), topics.history_key("ETH-USD")]
    assert all(TTL_S - 5 < client.ttl(key) <= TTL_S for key in keys)
    client.delete(*keys)  # as Redis does when its time is over
    clock.now_s += ENDED_EVERY_S
    process.write(entry(3))
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD"}


def test_a_symbol_that_ended_does_not_come_back_with_redis(client):
    clock = Clock()
    process = Process(client, clock=clock)
    process.write(entry(1, "OLD"))
    clock.now_s += TTL_S / 2
    process.write(entry(2, "BTC-USD"))
    clock.now_s += TTL_S / 2 + 1
    process.write(entry(3, "ETH-USD"))
    client.flushall()
    process.newest.write_everything_again()
    process.newest.write(client)
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD", b"ETH-USD"}
    assert client.ttl(topics.latest_key("BTC-USD")) <= TTL_S / 2


def test_a_prediction_that_is_old_already_lives_shorter_or_not_at_all(client):
    process = Process(client)
    process.write(entry(1), age_s=TTL_S - 10)
    process.write(entry(2, "OLD"), age_s=TTL_S)
    assert client.ttl(topics.latest_key("BTC-USD")) <= 10
    assert message(client, "OLD") is None


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


def test_symbols_without_end_leave_the_newest_alone(client, valkey):
    newest = NewestPredictions(5, "log", TTL_S, Clock(), max_symbols=8)
    with connect(valkey.url) as own:
        for offset in range(60):
            newest.put([entry(2 * offset, "BTC-USD"), entry(2 * offset + 1, f"S{offset}")])
            newest.write(own)
            newest.put([entry(offset, f"T{offset}", partition=1)] if offset < 5 else [])
    found = {name.decode() for name in client.smembers(topics.SYMBOLS_KEY)}
    # Eight or nine of partition 0; the other partition has room for its own.
    assert {"BTC-USD", *(f"S{n}" for n in range(53, 60)), *(f"T{n}" for n in range(5))} <= found
    assert len(found) <= 9 + 5
    assert {key.decode() for key in client.scan_iter(f"{topics.LATEST_KEY_PREFIX}*")} == {
        topics.latest_key(name) for name in found
    }
    assert len(list(client.scan_iter(f"{topics.HISTORY_KEY_PREFIX}*"))) == len(found)
    assert len(list(client.scan_iter(topics.past_key("*")))) == len(found)
    assert message(client) == b"m118"


@pytest.mark.parametrize("number", [b"2", b"1e400", b"99"], ids=["lost", "infinite", "foreign"])
def test_a_log_that_has_no_number_is_an_old_one(number: bytes, client):
    """As where Redis, short of memory, has let go of the numbers."""
    Process(client, "first").write(entry(5))
    process = Process(client, "second")
    process.write(entry(1))
    client.delete(topics.LOGS_KEY)
    client.hset(topics.latest_key("BTC-USD"), "log", number)
    process.write(entry(2))
    assert message(client) == b"m2"
    Process(client, "third").write(entry(0))
    process.write(entry(3))
    assert message(client) == b"m0"


def test_what_an_earlier_run_has_left_crowds_out_nothing_newer(client, valkey):
    newest = NewestPredictions(5, "log", TTL_S, Clock(), max_symbols=8)
    with connect(valkey.url) as own:
        newest.put([entry(100 + number, f"NEW{number}") for number in range(3)])
        newest.put([entry(number, f"OLD{number}") for number in range(10)], age_s=1.0)
        newest.write(own)
    found = {name.decode() for name in client.smembers(topics.SYMBOLS_KEY)}
    assert found == {"NEW0", "NEW1", "NEW2", *(f"OLD{number}" for number in range(5, 10))}


def test_a_symbol_that_another_process_has_written_since_stays(client, valkey):
    newest = NewestPredictions(5, "log", TTL_S, Clock(), max_symbols=1)
    with connect(valkey.url) as own:
        newest.put([entry(1, "A")])
        newest.write(own)
        Process(client).write(entry(9, "A"), entry(3, "B", partition=2))
        newest.put([entry(2, "B"), entry(4, "C")])
        newest.write(own)
        newest.put([entry(5, "D"), entry(6, "E")])
        newest.write(own)
    assert message(client, "A") == b"m9"  # written since
    assert message(client, "B") == b"m2"  # has ticks in another partition, too
    assert client.exists(topics.latest_key("C"), topics.history_key("C")) == 0
    assert message(client, "E") == b"m6"


def test_after_a_failover_the_new_primary_is_written_to(valkey, tmp_path):
    """The open connection leads to what has become a replica, and it would say so for good."""
    with TcpProxy(valkey.port) as way, Valkey(tmp_path / "other") as other:
        writer = LatestWriter(f"redis://127.0.0.1:{way.port}/0", 5)
        try:
            writer.put([entry(1)])
            with redis.Redis.from_url(valkey.url) as old, redis.Redis.from_url(other.url) as new:
                until(lambda: message(old) == b"m1", "the old primary to be written")
                old.execute_command("REPLICAOF", "127.0.0.1", str(other.port))
                way.lead_to(other.port)
                writer.put([entry(2)])
                until(lambda: message(new) == b"m2", "the new primary")
        finally:
            writer.close()


def test_quiet_symbols_come_back_after_flushall(client, write):
    write(entry(1), entry(2, "ETH-USD"), entry(3, "SOL-USD", partition=1))
    client.flushall()  # scripts stay: nothing fails
    write(entry(4))
    shown = [message(client, name) for name in ("BTC-USD", "ETH-USD", "SOL-USD")]
    assert shown == [b"m4", b"m2", b"m3"]
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD", b"ETH-USD", b"SOL-USD"}


def test_quiet_symbols_are_listed_again_where_the_set_alone_was_removed(client, write):
    write(entry(1), entry(2, "ETH-USD"))
    client.delete(topics.SYMBOLS_KEY)
    write(entry(3))
    assert client.smembers(topics.SYMBOLS_KEY) == {b"BTC-USD", b"ETH-USD"}
    assert message(client, "ETH-USD") == b"m2"


def test_a_redis_that_removes_keys_all_the_time_is_filled_again_now_and_then(valkey, client):
    clock = Clock()
    with connect(valkey.url) as own, capture_logs() as lines:
        process = Process(own, clock=clock)
        process.write(entry(1), entry(2, "ETH-USD"))
        back = []
        for offset in range(3, 13):  # a second each
            client.flushall()
            process.write(entry(offset))
            back.append(message(client, "ETH-USD"))
            clock.now_s += 1
        client.delete(topics.latest_key("ETH-USD"))
        process.write(entry(20))
    assert back == [b"m2", None, None, None, None] * 2
    assert message(client, "ETH-USD") == b"m2"  # what was lost before is owed still
    assert len(lines) == 1


def test_new_symbols_and_those_that_ended_are_no_loss(valkey, client):
    clock = Clock()
    with connect(valkey.url) as own, capture_logs() as lines:
        process = Process(own, clock=clock)
        process.write(entry(1), entry(2, "ETH-USD"), entry(1, partition=1))
        client.delete(topics.latest_key("ETH-USD"))  # as its time to live does
        clock.now_s += TTL_S + 1
        process.write(entry(3, "ETH-USD"), entry(4, "SOL-USD"))
    assert lines == []


def test_predictions_are_published_to_readers_of_their_own_database_alone(valkey):
    """Channels are shared by the databases of a Redis, unlike keys."""
    heard: dict[int, list[bytes]] = {0: [], 3: []}

    def url(database: int) -> str:
        return f"{valkey.url.rpartition('/')[0]}/{database}"

    async def read() -> None:
        async with (
            open_channel(url(0), heard[0].append, lambda: None) as first,
            open_channel(url(3), heard[3].append, lambda: None) as second,
        ):
            reading = [asyncio.create_task(each.listen()) for each in (first, second)]
            for database, offset in ((0, 1), (3, 2)):
                with connect(url(database)) as own:
                    Process(own).write(entry(offset))
            await first.barrier()
            await second.barrier()
            for each in reading:
                each.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    asyncio.run(read())
    assert heard == {0: [b"m1"], 3: [b"m2"]}
