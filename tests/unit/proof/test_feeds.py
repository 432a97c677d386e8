"""The proof of the live feeds: fifty seeds of each, and that it notices a client that errs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from flows.feeds.base import Feed, Frame
from flows.feeds.continuity import Continuity
from flows.feeds.processor import FrameProcessor, Messages
from schemas.ticks import Tick
from tests.proof.feeds.checker import KINDS
from tests.proof.feeds.plan import ENDS, FEEDS, MESSAGE_FAULTS, Plan, plan
from tests.proof.feeds.run import run, run_calmly

SEEDS = 50
BURST = 150


@pytest.mark.parametrize("feed", FEEDS)
def test_every_tick_mark_and_dead_letter_of_fifty_venues_that_fail_is_right(feed: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda seed: run_calmly(plan(feed, seed, BURST)), range(SEEDS)))
    wrong = [
        f"seed {each.plan.seed} ({', '.join(each.plan.faults_of())}): {defect}"
        for each in outcomes
        for defect in each.defects
    ]
    assert wrong == []
    assert sum(each.disturbed for each in outcomes) < SEEDS // 2
    assert sum(len(each.ticks) for each in outcomes) > 20 * SEEDS
    happened = {fault for each in outcomes for fault in each.plan.faults_of()}
    assert happened >= {*MESSAGE_FAULTS, *ENDS, "handshake refused", "product refused"}


def test_products_that_are_asked_for_one_by_one_begin_with_their_first_match() -> None:
    course = plan("coinbase-exchange", 302, BURST)
    manners = course.connections[0].manners
    assert manners.data_first
    assert manners.refuses_all
    assert not manners.names_refused
    assert run_calmly(course).defects == []


def plan_with(feed: str, *faults: str) -> Plan:
    """Return a plan whose connections are cut, with these faults of its messages."""
    for seed in range(10_000):
        found = plan(feed, seed, BURST)
        refused = found.connections[0].manners.refused
        if set(faults) <= found.faults and not found.has_silence and refused is None:
            return found
    raise AssertionError


class DropsOne(FrameProcessor):
    """Loses the fifth tick."""

    seen = 0

    def process(self, frames: list[Frame], loop_number: int = 0) -> Messages:  # type: ignore[override]
        out = super().process(frames, loop_number)
        kept = []
        for message in out.ticks:
            self.seen += 1
            if self.seen != 5:
                kept.append(message)
        return Messages(kept, out.dead)


class KeepsRepeats(FrameProcessor):
    """Forgets what it has admitted."""

    def process(self, frames: list[Frame], loop_number: int = 0) -> Messages:  # type: ignore[override]
        self._continuity._is_repeat = lambda *_: False  # type: ignore[method-assign]
        return super().process(frames, loop_number)


class Rewrites(FrameProcessor):
    """Changes each tick."""

    @staticmethod
    def change(tick: Tick) -> Tick:
        return tick

    def process(self, frames: list[Frame], loop_number: int = 0) -> Messages:  # type: ignore[override]
        out = super().process(frames, loop_number)
        ticks = []
        for key, value in out.ticks:
            tick = self.change(msgspec.json.decode(value, type=Tick))
            ticks.append((key, msgspec.json.encode(tick)))
        return Messages(ticks, out.dead)


class IgnoresGaps(Rewrites):
    change = staticmethod(lambda tick: msgspec.structs.replace(tick, gap=False))


class MarksAll(Rewrites):
    change = staticmethod(lambda tick: msgspec.structs.replace(tick, gap=True))


class ForgetsQuotes(Rewrites):
    change = staticmethod(lambda tick: msgspec.structs.replace(tick, bid=None))


class ShiftsTimes(Rewrites):
    change = staticmethod(
        lambda tick: msgspec.structs.replace(tick, ts_event_ns=tick.ts_event_ns + 1)
    )


class DropsDeadLetters(FrameProcessor):
    def process(self, frames: list[Frame], loop_number: int = 0) -> Messages:  # type: ignore[override]
        return Messages(super().process(frames, loop_number).ticks, [])


def without_waiting(feed: Feed) -> FrameProcessor:
    """Return a processor that passes trades on as they come."""
    return FrameProcessor(feed.parser(), live=True, hold_ns=-1)


def without_a_beginning(feed: Feed) -> FrameProcessor:
    """Return a processor that does not mark where it begins."""
    processor = FrameProcessor.of(feed)
    processor._continuity = Continuity(begins=False)
    return processor


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    ("make", "fault", "kind"),
    [
        pytest.param(DropsOne.of, "loss", "missing", id="drops a tick"),
        pytest.param(KeepsRepeats.of, "repeat", "twice", id="keeps repeats"),
        pytest.param(IgnoresGaps.of, "loss", "gap not marked", id="ignores gaps"),
        pytest.param(MarksAll.of, "loss", "gap marked falsely", id="marks all"),
        pytest.param(ForgetsQuotes.of, "loss", "different", id="forgets quotes"),
        pytest.param(ShiftsTimes.of, "loss", "different", id="shifts times"),
        pytest.param(DropsDeadLetters.of, "damage", "dead letters", id="drops dead letters"),
        pytest.param(without_waiting, "reorder", "out of order", id="does not put in order"),
        pytest.param(without_a_beginning, "loss", "gap not marked", id="begins without a mark"),
    ],
)
def test_the_proof_notices_a_client_that(
    feed: str, make: Callable[[Feed], FrameProcessor], fault: str, kind: str
) -> None:
    assert kind in KINDS
    outcome = run(plan_with(feed, fault), make, deadline_s=4.0)
    assert kind in {defect.kind for defect in outcome.defects}
