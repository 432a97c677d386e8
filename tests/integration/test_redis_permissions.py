"""A Redis that allows each user no more than the README names: nothing is denied, nothing idle."""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
import redis

from flows.codec.outputs import Latest
from flows.connectors.redis import DeadLetterRateWriter, DriftWriter, QualityWriter
from flows.connectors.redis.backfill import put_backfill
from flows.connectors.redis.newest import ENDED_EVERY_S, NewestPredictions
from flows.connectors.redis.writer import connect
from schemas import topics
from schemas.backfill import Backfill
from schemas.dead_letters import DeadLetterRate
from schemas.drift import DriftReport
from schemas.quality import ModelWindow, QualityWindow
from serving.http import examples
from serving.monitoring.metrics import ApiMetrics
from serving.scores.answers import ForeignEntries
from serving.scores.channel import open_channel
from serving.scores.store import ScoreStore
from serving.scores.store import connect as api_connect
from tests.support.api import prediction
from tests.support.docs import FLOWS
from tests.support.embedded import Valkey
from tests.support.polling import until

TARGET = "volatility_spike"
RULE = re.compile(r"^ACL SETUSER (?P<user>\w+) on >SECRET (?P<rules>.+)$", re.MULTILINE)
SECRET = "a-s3cret"  # noqa: S105
# Of redis-py: it tells its name where it may, and goes on where not.
POLITE = {"client|setinfo"}


@dataclass
class Guarded:
    """A Redis with the README's users."""

    valkey: Valkey
    admin: redis.Redis
    allowed: dict[str, set[str]]

    def url(self, user: str) -> str:
        return f"redis://{user}:{SECRET}@127.0.0.1:{self.valkey.port}/0"

    def denied(self) -> list[str]:
        found = {each["object"] for each in self.admin.acl_log()} - POLITE
        return sorted(found)

    def called(self) -> set[str]:
        stats = self.admin.info("commandstats")
        return {name.removeprefix("cmdstat_") for name in stats if stats[name]["calls"]}


@pytest.fixture
def guarded(valkey: Valkey) -> Iterator[Guarded]:
    with redis.Redis.from_url(valkey.url) as admin:
        allowed = {}
        for found in RULE.finditer(FLOWS.read_text("utf-8")):
            rules = found["rules"].split()
            admin.execute_command("ACL", "SETUSER", found["user"], "on", f">{SECRET}", *rules)
            allowed[found["user"]] = {rule[1:] for rule in rules if rule.startswith("+")}
        assert set(allowed) == {"flows", "api"}
        admin.config_resetstat()
        yield Guarded(valkey, admin, allowed)


def write_all(guarded: Guarded) -> None:
    """Write what flows write, new, again, and where other things stand in the way; let it end."""
    url = guarded.url("flows")
    now_s = [1000.0]
    newest = NewestPredictions(5, "log", 3600, lambda: now_s[0], max_symbols=8)
    with connect(url) as client:
        for offset in range(40):
            symbol = f"S{offset}-USD" if offset else "BTC-USD"
            message = msgspec.json.encode(prediction(symbol, offset=offset))
            entry = Latest(symbol, offset, time.time_ns() + offset * 10**11, message, 0)
            newest.put([entry], passed=[entry])
            newest.write(client)
        message = msgspec.json.encode(prediction(offset=99))
        newest.put([Latest("BTC-USD", 99, time.time_ns() + 10**13, message, 0)])
        newest.write(client)
        now_s[0] += ENDED_EVERY_S
        guarded.admin.delete(topics.latest_key("S39-USD"))
        newest.write(client)
        put_backfill(client, Backfill(symbol="BTC-USD", venue="test", interval_s=60, bars=[]))
    _ended(DeadLetterRateWriter(url), DeadLetterRate(seconds=1.0, counts={"x": 1}))
    drift = DriftWriter(url)
    _ended(drift, DriftReport(target=TARGET, ts_ns=1, from_ns=0, models=[]))
    assert drift.read(TARGET) is not None
    guarded.admin.set(topics.quality_windows_key(TARGET), "foreign")
    [point] = examples.QUALITY.points
    window = QualityWindow(
        target=point.target,
        kind=point.kind,
        partition=0,
        ts_ns=1,
        models={"a@1": ModelWindow(variant="logreg", from_ns=0, sums=b"")},
    )
    _ended(QualityWriter(url, lambda _own, _all: point), [[window]])


def _ended(writer, written) -> None:
    writer.put(written)
    writer.close(20.0)
    assert not writer._thread.running


async def read_all(url: str) -> None:
    """Read what the API reads."""
    heard = asyncio.Event()
    async with open_channel(url, lambda _message: None, heard.set) as channel:
        listening = asyncio.ensure_future(channel.listen())
        await channel.barrier()
        listening.cancel()
    store = ScoreStore(api_connect(url), ForeignEntries(ApiMetrics().foreign_entries))
    try:
        await store.ping()
        assert await store.told()
        assert await store.latest("BTC-USD") is not None
        assert await store.all_latest()
        assert await store.history("BTC-USD", 100)
        assert await store.quality(TARGET, 10)
        assert await store.drift(TARGET) is not None
        assert await store.dead_letter_rate() is not None
        assert await store.backfill("BTC-USD") is not None
    finally:
        await store.close()


def test_flows_may_write_what_they_write_and_no_more(guarded: Guarded) -> None:
    write_all(guarded)
    assert guarded.denied() == []
    assert guarded.admin.xlen(topics.quality_key(TARGET)) == 1
    assert guarded.allowed["flows"] <= guarded.called() | {"ping", "select", "xrevrange"}


def test_the_api_may_read_what_it_reads_and_no_more(guarded: Guarded) -> None:
    write_all(guarded)
    guarded.admin.config_resetstat()
    asyncio.run(read_all(guarded.url("api")))
    assert guarded.denied() == []
    assert guarded.allowed["api"] <= guarded.called() | {"select", "unsubscribe"}


def test_the_api_s_user_cannot_write(guarded: Guarded) -> None:
    with redis.Redis.from_url(guarded.url("api")) as client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set(topics.drift_key(TARGET), "x")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.get("another")
    until(guarded.denied, "the log of what was denied")
