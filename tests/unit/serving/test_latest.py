"""Scores from memory: as good as Redis, or Redis is asked."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.problems import RedisUnavailableError
from serving.http.views import ScoresResponse, ScoreView
from serving.scores import latest as module
from serving.scores.age import age_of
from serving.scores.body import Held, all_bodies
from serving.scores.latest import COMPARE_S, TRUSTED_S, LatestScores
from tests.support.api import prediction

NS = 1_000_000_000


class Redis:
    """What a Redis holds, and how often it was asked."""

    def __init__(self):
        self.held = {}
        self.reads = 0
        self.away = False

    async def latest(self, symbol):
        self._read()
        return self.held.get(symbol)

    async def all_latest(self):
        self._read()
        return [self.held[name] for name in sorted(self.held)]

    def _read(self):
        self.reads += 1
        if self.away:
            cause = "TimeoutError"
            raise RedisUnavailableError(cause)


class World:
    """Memory beside its Redis, with messages that arrive when they are told to."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(module, "PING_S", 0.0)
        self.now_s = 100.0
        self.redis = Redis()
        self.scores = LatestScores(self.redis, lambda: self.now_s)
        self.under_way = []

    def publish(self, made):
        """Write to Redis; the message is under way."""
        self.redis.held[made.symbol] = made
        self.under_way.append(made)

    def arrive(self):
        """Let all messages arrive."""
        for made in self.under_way:
            self.scores.take(made)
            self.scores.heard()
        self.under_way.clear()

    async def barrier(self):
        self.arrive()
        self.scores.heard()

    async def keep_up(self):
        """Let one comparison, or one ping, take place."""
        task = asyncio.create_task(self.scores.follow(self.barrier))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def offset(self, symbol="BTC-USD"):
        found = await self.scores.latest(symbol)
        return None if found is None else found.offset


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_nothing_is_answered_from_memory_before_it_was_compared(world):
    async def run():
        world.publish(prediction(offset=1))
        world.arrive()
        assert world.scores.held("BTC-USD") is None
        assert await world.offset() == 1
        assert world.redis.reads == 1
        await world.keep_up()
        asked = world.redis.reads
        assert await world.offset() == 1
        assert [each.offset for each in await world.scores.all_latest()] == [1]
        assert world.redis.reads == asked

    asyncio.run(run())


def test_a_message_is_enough_for_a_newer_score_and_a_new_symbol(world):
    async def run():
        await world.keep_up()
        asked = world.redis.reads
        for offset, symbol in enumerate(("B", "A", "B")):
            world.publish(prediction(symbol, offset=offset))
        world.arrive()
        found = await world.scores.all_latest()
        assert [(each.symbol, each.offset) for each in found] == [("A", 1), ("B", 2)]
        assert world.redis.reads == asked

    asyncio.run(run())


def test_a_silent_subscription_is_not_trusted(world):
    async def run():
        world.publish(prediction(offset=1))
        await world.keep_up()
        world.redis.held["BTC-USD"] = prediction(offset=2)  # whose message got lost
        world.now_s += TRUSTED_S
        assert await world.offset() == 1
        world.now_s += 0.01
        assert await world.offset() == 2

    asyncio.run(run())


def test_after_the_stream_is_cut_redis_is_asked_until_memory_was_compared_again(world):
    async def run():
        world.publish(prediction(offset=1))
        await world.keep_up()
        world.scores.lost()
        world.redis.held["BTC-USD"] = prediction(offset=2)
        assert await world.offset() == 2
        await world.keep_up()
        asked = world.redis.reads
        assert await world.offset() == 2
        assert world.redis.reads == asked
        world.scores.lost()
        world.redis.away = True
        with pytest.raises(RedisUnavailableError):
            await world.offset()

    asyncio.run(run())


@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "ended"])
def test_what_has_left_redis_leaves_memory_with_the_next_comparison(world, flushed):
    async def run():
        world.publish(prediction("A"))
        world.publish(prediction("B"))
        await world.keep_up()
        if flushed:
            world.redis.held.clear()
        else:
            del world.redis.held["A"]
        world.now_s += COMPARE_S
        await world.keep_up()
        assert await world.offset("A") is None
        assert (await world.offset("B") is None) == flushed
        assert len(await world.scores.all_latest()) == (0 if flushed else 1)

    asyncio.run(run())


def test_a_comparison_that_fails_leaves_memory_until_it_is_too_old(world):
    async def run():
        world.publish(prediction(offset=1))
        await world.keep_up()
        world.redis.away = True
        world.now_s += COMPARE_S
        await world.keep_up()
        world.scores.heard()
        assert await world.offset() == 1
        world.now_s += TRUSTED_S + 0.01
        world.scores.heard()
        with pytest.raises(RedisUnavailableError):
            await world.offset()

    asyncio.run(run())


def test_memory_behind_what_redis_has_shown_is_not_shown(world):
    async def run():
        world.publish(prediction(offset=1))
        await world.keep_up()
        world.scores.lost()
        world.publish(prediction(offset=2))
        assert await world.offset() == 2  # by Redis; the message is still under way
        world.scores.take(prediction(offset=1))
        world.scores._compared_until_s = float("inf")
        assert world.scores.held("BTC-USD") is None
        assert world.scores.all_held() is None
        assert await world.offset() == 2
        world.arrive()
        assert world.scores.held("BTC-USD").prediction.offset == 2
        assert world.scores.all_held() is not None

    asyncio.run(run())


def test_offsets_of_a_log_made_anew_count_at_the_latest_after_a_moment(world):
    async def run():
        world.publish(prediction(offset=900))
        assert await world.offset() == 900
        await world.keep_up()
        world.publish(prediction(offset=0))
        world.arrive()
        assert await world.offset() == 0  # Redis is asked
        world.now_s += TRUSTED_S
        world.scores.heard()
        assert world.scores.held("BTC-USD").prediction.offset == 0

    asyncio.run(run())


MOVES = st.sampled_from(["publish", "arrive", "keep up", "lost", "wait", "read"])


@given(st.lists(MOVES, max_size=40))
def test_whatever_happens_no_read_is_older_than_the_one_before(moves):
    with pytest.MonkeyPatch.context() as patch:
        world = World(patch)

    async def run():
        newest = shown = -1
        for move in moves:
            if move == "publish":
                newest += 1
                world.publish(prediction(offset=newest, ts_scored_ns=NS))
            elif move == "arrive":
                world.arrive()
            elif move == "keep up":
                await world.keep_up()
            elif move == "lost":
                world.under_way.clear()
                world.scores.lost()
            elif move == "wait":
                world.now_s += 0.7
            else:
                found = await world.offset()
                assert (-1 if found is None else found) >= shown
                shown = max(shown, -1 if found is None else found)

    asyncio.run(run())


@given(
    age_ns=st.integers(-(10**12), 10**12),
    event_ns=st.integers(0, 2 * 10**18),
    symbol=st.text(min_size=1, max_size=64),
    limit_s=st.floats(0.001, 1000),
)
def test_bytes_are_those_of_the_documented_view(age_ns, event_ns, symbol, limit_s):
    now_ns = 1_700_000_000 * NS
    made = prediction(symbol, ts_scored_ns=now_ns - age_ns, ts_event_ns=event_ns)
    view = view_of(made, now_ns, limit_s)
    held = Held(made)
    for _ in range(2):
        assert held.body(now_ns, limit_s) == msgspec.json.encode(view)
    assert all_bodies([held, held], now_ns, limit_s, simulated=True) == msgspec.json.encode(
        ScoresResponse([view, view], simulated=True)
    )


def view_of(made, now_ns, limit_s):
    age = age_of(made.ts_scored_ns, now_ns)
    return ScoreView(
        **msgspec.structs.asdict(made),
        age_ms=age.age_ms,
        event_age_ms=age_of(made.ts_event_ns, now_ns).age_ms,
        stale=age.is_stale(limit_s),
        clock_ahead_ms=age.ahead_ms,
    )
