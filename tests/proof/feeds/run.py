"""Run one seed: a venue that misbehaves, and the client pointed at it by its setting."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from flows.feeds.base import Feed, Frame
from flows.feeds.plan import url_variable
from flows.feeds.processor import FrameProcessor, Messages
from flows.feeds.protocol import Limits
from flows.numeric.time import NS_PER_S
from flows.runtime.feeds import feeds_of
from flows.settings import load_settings
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick
from tests.proof.feeds.checker import Defect, check
from tests.proof.feeds.oracle import Wants, wants
from tests.proof.feeds.plan import SHORT_SILENCE_S, Plan
from tests.proof.feeds.session import Session

DEADLINE_S = 60.0
ATTEMPTS = 3
_IDLE_S = 0.005
_HOLD_NS = NS_PER_S
_LONG_SILENCE_S = 8.0


@dataclass
class Outcome:
    """What became of a seed.

    Attributes
    ----------
    disturbed
        The client has connected more often than planned or left early, so that messages may have
        been sent to nobody, or it stood still for longer than a trade waits for those before it: a
        machine that is too busy. Such a run says nothing.
    """

    plan: Plan
    ticks: list[Tick]
    dead: list[DeadLetter]
    wants: Wants
    defects: list[Defect] = field(default_factory=list)
    disturbed: bool = False


def run_calmly(plan: Plan) -> Outcome:
    """Run a plan; again, if a busy machine has disturbed it."""
    for _ in range(ATTEMPTS):
        outcome = run(plan)
        if not outcome.disturbed:
            break
    if outcome.disturbed:
        outcome.defects = []
    return outcome


def run(
    plan: Plan,
    make_processor: Callable[[Feed], FrameProcessor] | None = None,
    deadline_s: float = DEADLINE_S,
) -> Outcome:
    """Let the client read what the venue of a plan sends, and check all that comes of it.

    Parameters
    ----------
    make_processor
        Makes ticks of the frames; another one to show that the proof notices.
    """
    ticks: list[Tick] = []
    dead: list[DeadLetter] = []

    def take(messages: Messages) -> None:
        ticks.extend(msgspec.json.decode(value, type=Tick) for _, value in messages.ticks)
        dead.extend(msgspec.json.decode(value, type=DeadLetter) for _, value in messages.dead)

    pauses = _Pauses()
    with Session(plan) as session:
        feed = _open(plan, session.url)
        try:
            processor = (make_processor or _patient)(feed)
            end_s = time.monotonic() + deadline_s
            while not is_done(session, ticks) and time.monotonic() < end_s:
                frames = feed.poll(1_000)
                pauses.note(frames)
                if frames:
                    take(processor.process(frames))
                else:
                    time.sleep(_IDLE_S)
        finally:
            feed.close()
        outcome = judge(session, ticks, dead)
        # Only trades that overtook each other can arrive too far apart.
        is_late = pauses.too_long and "reorder" in plan.faults
        outcome.disturbed |= is_late and bool(outcome.defects)
        return outcome


def judge(session: Session, ticks: list[Tick], dead: list[DeadLetter]) -> Outcome:
    """Hold ticks and dead letters against what the venue of a session has sent."""
    wanted = wants(session.log)
    outcome = Outcome(session.plan, ticks, dead, wanted, check(ticks, dead, wanted))
    too_many = session.connections > len(session.plan.connections)
    outcome.disturbed = session.disturbed or too_many
    return outcome


class _Pauses:
    """Notice that the client has read nothing for longer than a trade waits for others.

    Attributes
    ----------
    too_long
        Whether it has, within a connection: while it subscribes, or because the machine is busy.
    """

    def __init__(self) -> None:
        self.too_long = False
        self._last_ns: int | None = None

    def note(self, frames: Sequence[Frame]) -> None:
        """Take in frames, in order."""
        for frame in frames:
            now_ns = frame.ts_recv_ns
            if self._last_ns is not None and now_ns is not None and not frame.fresh:
                self.too_long |= now_ns - self._last_ns > _HOLD_NS
            self._last_ns = now_ns


def _patient(feed: Feed) -> FrameProcessor:
    """Return a processor that a busy machine does not take for a venue that loses trades."""
    return FrameProcessor(feed.parser(), live=True, hold_ns=_HOLD_NS)


def _open(plan: Plan, url: str) -> Feed:
    settings = load_settings(
        {
            "VOLTICK_FEED": plan.feed,
            "VOLTICK_SYMBOLS": ",".join(plan.asked),
            url_variable(plan.feed): url,
        }
    )
    limits = Limits(
        silence_s=SHORT_SILENCE_S if plan.has_silence else _LONG_SILENCE_S,
        answer_s=0.1,
        backoff_s=0.01,
        backoff_cap_s=0.05,
    )
    [open_feed] = feeds_of(settings, limits).values()
    return open_feed()


def is_done(session: Session, ticks: Sequence[Tick]) -> bool:
    """Return whether the last trade of every symbol has become a tick."""
    if not session.finished.is_set():
        return False
    last = dict(session.newest)
    for tick in reversed(ticks):
        if tick.trade_id is not None and last.get(tick.symbol) == tick.trade_id:
            del last[tick.symbol]
            if not last:
                return True
    return False
