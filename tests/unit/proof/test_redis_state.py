"""Redis against the topic: what is stale, missing or never was on the topic is found."""

import dataclasses
from collections.abc import Iterator

import msgspec
import pytest
import redis

from schemas import topics
from tests.proof.checker import Outputs
from tests.proof.inputs import OTHER_VENUE, VENUE
from tests.proof.redis_state import check_redis
from tests.support.embedded import Valkey
from tests.support.kafka.tools import Message
from tests.unit.proof.corruptions import altered


@pytest.fixture
def predictions(outputs: Outputs) -> list[Message]:
    """As if each of them had been scored in a batch of its own."""
    found = enumerate(outputs.predictions)
    return [altered(message, ts_scored_ns=1_000_000 + at) for at, message in found]


@pytest.fixture
def client(valkey: Valkey, predictions: list[Message]) -> Iterator[redis.Redis]:
    """A Redis that shows all of them, and every third one in the histories."""
    with redis.Redis.from_url(valkey.url) as made:
        for at, message in enumerate(predictions):
            show(made, message)
            if at % 3 == 0:
                remember(made, message)
        yield made


def symbol_of(message: Message) -> str:
    return msgspec.json.decode(message.value)["symbol"]


def show(client: redis.Redis, message: Message) -> None:
    client.hset(topics.latest_key(symbol_of(message)), "message", message.value)


def remember(client: redis.Redis, message: Message) -> None:
    client.xadd(topics.history_key(symbol_of(message)), {"message": message.value})


def found(valkey: Valkey, predictions: list[Message]) -> list[str]:
    return [str(defect) for defect in check_redis(valkey.url, predictions, patience_s=0.0)]


def test_what_the_topic_says_is_no_defect(client, valkey, predictions) -> None:
    assert found(valkey, predictions) == []


def test_a_symbol_may_be_gone_where_others_have_crowded_it_out(client, valkey, predictions) -> None:
    last = {symbol_of(message): at for at, message in enumerate(predictions)}
    alone = [s for s in last if len({m.partition for m in predictions if symbol_of(m) == s}) == 1]
    gone = min(alone, key=last.__getitem__)
    client.delete(topics.latest_key(gone), topics.history_key(gone))

    def complaints(max_symbols: int) -> list[str]:
        defects = check_redis(valkey.url, predictions, patience_s=0.0, max_symbols=max_symbols)
        return [str(defect) for defect in defects]

    assert complaints(1) == []
    [defect] = complaints(len(last))
    assert f"latest of {gone} is None" in defect


def test_stale_symbol_is_found(client, valkey, predictions) -> None:
    symbol = "S05-USD"
    *_, before, _last = (each for each in predictions if symbol_of(each) == symbol)
    show(client, before)
    [defect] = found(valkey, predictions)
    assert f"latest of {symbol}" in defect


def test_stale_symbol_of_two_venues_is_found(client, valkey, predictions) -> None:
    """What the other venue had before is not what is newest."""
    of_venue = {
        venue: [
            each
            for each in predictions
            if symbol_of(each) == "S00-USD" and msgspec.json.decode(each.value)["venue"] == venue
        ]
        for venue in (VENUE, OTHER_VENUE)
    }
    older, newer = sorted((own[-1] for own in of_venue.values()), key=lambda own: own.offset)
    show(client, older)
    [defect] = found(valkey, predictions)
    assert "latest of S00-USD" in defect
    # Scored in one batch they have the same time; the later offset is the newer one all the same.
    at = msgspec.json.decode(older.value)["ts_scored_ns"]
    place = predictions.index(newer)
    client.delete(topics.history_key("S00-USD"))
    predictions[place] = altered(newer, ts_scored_ns=at)
    [defect] = found(valkey, predictions)
    assert "latest of S00-USD" in defect
    show(client, predictions[place])
    assert found(valkey, predictions) == []


def test_missing_symbol_is_found(client, valkey, predictions) -> None:
    client.delete(topics.latest_key("S05-USD"))
    [defect] = found(valkey, predictions)
    assert "latest of S05-USD is None" in defect


def test_point_of_the_history_that_is_not_on_the_topic_is_found(
    client, valkey, predictions
) -> None:
    last = predictions[-1]
    ghost = altered(last, price=1.0, ts_scored_ns=2_000_000)
    remember(client, dataclasses.replace(last, value=ghost.value))
    [defect] = found(valkey, predictions)
    assert "not on the topic" in defect


def test_point_of_the_history_that_comes_again_is_found(client, valkey, predictions) -> None:
    remember(client, predictions[0])
    [defect] = found(valkey, predictions)
    assert "again" in defect
