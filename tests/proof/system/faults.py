"""What happens to the running system, and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flows.numeric.time import NS_PER_MS
from tests.proof.system.parts import System
from tests.support.kafka.tools import Outgoing, fill

DOWN_S = 100.0
"""How long the pipeline and the feed are away: longer than their alerts wait."""
BROKER_AWAY_S = 20.0
GARBAGE = 2_000


@dataclass(frozen=True, slots=True)
class Event:
    """One act; ``at`` is seconds from the beginning."""

    at: float
    what: str
    act: Callable[[System], None]


def timeline(seconds: float) -> list[Event]:
    """Return all acts of a run of this length, in order."""
    kill, away, silence = 0.2 * seconds, 0.2 * seconds + DOWN_S + 60, 0.65 * seconds
    return [
        Event(20, f"{GARBAGE} messages of garbage in ticks.raw", _garbage),
        Event(kill, "the pipeline is killed", lambda system: system.programs["pipeline"].kill()),
        Event(kill + DOWN_S, "and started again", lambda system: system.restart("pipeline")),
        Event(away, "the broker is stopped", lambda system: system.kafka.nodes[0].pause()),
        Event(away + BROKER_AWAY_S, "and goes on", lambda system: system.kafka.nodes[0].resume()),
        Event(silence, "the feed is stopped", lambda system: system.programs["ingest"].pause()),
        Event(silence + DOWN_S, "and goes on", lambda system: system.programs["ingest"].resume()),
    ]


def _garbage(system: System) -> None:
    values = (b"\xff no json", b"{}", b"", b'{"symbol":"BTC-USD","price":-1}')
    now_ms = time.time_ns() // NS_PER_MS
    messages = [
        Outgoing(number % 2, None, values[number % len(values)], now_ms)
        for number in range(GARBAGE)
    ]
    fill(system.kafka.client_config(), messages)
