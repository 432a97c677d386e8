"""The history per symbol in a real Redis: what is sampled, thinned and kept in order."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from flows.connectors.redis.newest import NewestPredictions
from flows.connectors.redis.writer import connect
from schemas import topics
from tests.support.polling import until
from tests.unit.connectors.redis.entries import MS, TTL_S, Clock, Process, entry, history, message


def test_history_is_sampled_and_capped(client, write):
    write(*[entry(at, at_ns=at * 10 * MS) for at in range(12)])
    assert history(client) == [b"m0", b"m5", b"m10"]


def test_the_past_is_thinner_than_the_history_and_reaches_further_back(client, valkey):
    with connect(valkey.url) as own:
        process = Process(own)
        process.newest = NewestPredictions(400, "log", TTL_S, Clock())
        process.write(*[entry(at, at_ns=at * 1000 * MS) for at in range(801)])
    fine = client.xrange(topics.history_key("BTC-USD"))
    past = client.xrange(topics.past_key("BTC-USD"))
    assert [fields[b"message"] for _, fields in past] == [
        f"m{at}".encode() for at in range(0, 801, 10)
    ]
    assert past[-1] == fine[-1]  # under the same id
    assert len(fine) < 600
    assert 0 < client.ttl(topics.past_key("BTC-USD")) <= TTL_S


def test_a_history_that_was_removed_beside_its_past_begins_anew(client, write):
    write(entry(0))
    client.xadd(topics.past_key("BTC-USD"), {"message": "later"}, id="9999999999999-0")
    client.delete(topics.history_key("BTC-USD"))
    write(entry(1, at_ns=20_000 * MS))
    assert history(client) == [b"m1"]
    assert message(client) == b"m1"


def test_history_is_per_symbol(client, write):
    write(entry(0), entry(1, "ETH-USD"), entry(2, "ETH-USD"))
    assert client.xlen(topics.history_key("BTC-USD")) == 1
    assert client.xlen(topics.history_key("ETH-USD")) == 1
    assert message(client, "ETH-USD") == b"m2"


def test_what_a_batch_passed_is_history_alone(client):
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(topics.STREAM_CHANNEL)
    until(lambda: client.pubsub_numsub(topics.STREAM_CHANNEL)[0][1] == 1, "the subscription")
    newest = Process(client).newest
    newest.put([entry(4), entry(5, "ETH-USD")], passed=[entry(1), entry(2), entry(3, "ETH-USD")])
    newest.write(client)
    assert history(client) == [b"m1", b"m2", b"m4"]
    assert history(client, "ETH-USD") == [b"m3", b"m5"]
    assert [message(client), message(client, "ETH-USD")] == [b"m4", b"m5"]
    heard = [until(lambda: channel.get_message(timeout=0.1), "it")["data"] for _ in range(2)]
    assert heard == [b"m4", b"m5"]
    assert channel.get_message(timeout=0.1) is None
    channel.close()


def test_what_was_passed_finds_a_place_that_a_foreign_key_holds(client):
    client.set(topics.history_key("BTC-USD"), "foreign")
    newest = Process(client).newest
    newest.put([entry(2)], passed=[entry(1)])
    newest.write(client)
    assert history(client) == [b"m1", b"m2"]


def test_what_a_batch_passed_never_comes_before_the_latest_of_the_batch_before(client):
    process = Process(client)
    process.newest.put([entry(4)], passed=[entry(1)])
    process.newest.put([entry(9)], passed=[entry(5), entry(6)])
    process.newest.write(client)
    assert history(client) == [b"m1", b"m5", b"m6", b"m9"]


def test_what_a_replaced_process_passed_is_refused(client):
    Process(client).write(entry(5))
    late = Process(client)
    late.newest.put(
        [entry(7), entry(3, partition=1)],
        passed=[entry(3), entry(5), entry(6), entry(2, partition=1)],
    )
    late.newest.write(client)
    assert history(client) == [b"m5", b"m6", b"m7", b"m2", b"m3"]
    Process(client, "another log, which is newer").write(entry(1))
    late.newest.put([entry(9)], passed=[entry(8)])
    late.newest.write(client)
    assert history(client)[-1] == b"m1"


@pytest.mark.parametrize("moment", range(5))
def test_another_process_writes_before_or_after_what_was_passed(client, moment):
    """One that starts hands over what was committed last, while the owner catches up beyond it."""
    older, owner = Process(client), Process(client)
    owner.newest.put([entry(9)], passed=[entry(6), entry(8)])
    owner.newest.write(Beside(client, lambda: older.write(entry(5)), moment))
    older.write(entry(5))
    assert history(client) in ([b"m5", b"m6", b"m8", b"m9"], [b"m6", b"m8", b"m9"])


class Beside:
    """A client before whose n-th call another process does something."""

    def __init__(self, client: redis.Redis, act: Callable[[], None], moment: int) -> None:
        self._client = client
        self._act = act
        self._left = moment

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if self._left == 0:
                self._act()
            self._left -= 1
            return getattr(self._client, name)(*arguments, **options)

        return call
