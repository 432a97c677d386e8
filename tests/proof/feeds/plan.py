"""What happens to a client, drawn from a seed."""

import random
from dataclasses import dataclass

from tests.support.venues.dialects.base import Manners
from tests.support.venues.server import Refusal

FEEDS = ("coinbase-exchange", "coinbase-advanced", "binance")

MESSAGE_FAULTS = (
    "loss",
    "repeat",
    "reorder",
    "damage",
    "bad trade",
    "missing fields",
    "unknown type",
    "empty book",
    "crossed book",
    "clock skew",
    "heartbeat ahead",
    "burst",
)
"""What can happen to the messages of a connection."""

ENDS = ("close", "drop", "mid-frame", "half-open", "stall", "farewell", "day")
"""How a connection can end."""

SILENT_ENDS = ("half-open", "stall")
SHORT_SILENCE_S = 0.8
"""After which a client gives a connection up where a plan has a silent end, seconds."""

_CODES = (1000, 1001, 1008, 1011, 1012, 1013)
_REFUSALS = (
    Refusal(400, body="bad request"),
    Refusal(403),
    Refusal(404),
    Refusal(429, {"Retry-After": "0"}),
    Refusal(500),
    Refusal(502, body="<html>bad gateway</html>"),
    Refusal(503, body="maintenance"),
)
_SYMBOLS = {
    "coinbase-exchange": ("BTC-USD", "ETH-USD", "SHIB-USD"),
    "coinbase-advanced": ("BTC-USD", "ETH-USD", "DOGE-USDC"),
    "binance": ("BTC-USDT", "ETH-BTC", "ARB-USD"),
}
_REFUSED = "NOSUCH-USD"


@dataclass(frozen=True)
class Connection:
    """One connection of the client.

    Attributes
    ----------
    refusals
        Answers to the handshakes before it.
    chunks
        How many runs of messages there are.
    end
        One of :data:`ENDS`.
    code
        With which it closes, where it closes.
    unseen
        Most trades a symbol makes until the next connection.
    """

    refusals: tuple[Refusal, ...]
    manners: Manners
    chunks: int
    end: str
    code: int
    unseen: int


@dataclass(frozen=True)
class Plan:
    """A seed's course.

    Attributes
    ----------
    faults
        Of :data:`MESSAGE_FAULTS`.
    path
        Of the address that the client is pointed at.
    burst
        Messages in a burst.
    """

    feed: str
    seed: int
    symbols: tuple[str, ...]
    faults: frozenset[str]
    connections: tuple[Connection, ...]
    path: str
    microseconds: bool
    burst: int

    @property
    def asked(self) -> tuple[str, ...]:
        """What the client is told to read."""
        refused = self.connections[0].manners.refused
        return self.symbols if refused is None else (*self.symbols[:1], refused, *self.symbols[1:])

    @property
    def has_silence(self) -> bool:
        """Whether the client must notice a silence."""
        return any(each.end in SILENT_ENDS for each in self.connections[:-1])

    def rng(self, part: str) -> random.Random:
        """Return the source of what is random in one part of the course."""
        return random.Random(f"{self.feed} {self.seed} {part}")  # noqa: S311  # repeatable

    def faults_of(self) -> list[str]:
        """Return every fault of the course, for the summary."""
        ends = [each.end for each in self.connections[:-1]]
        more = ["handshake refused"] * any(each.refusals for each in self.connections)
        manners = self.connections[0].manners
        more += ["product refused"] * (manners.refused is not None)
        more += ["no heartbeats"] * (not manners.heartbeats)
        return sorted({*self.faults, *ends, *more})


def plan(feed: str, seed: int, burst: int = 500) -> Plan:
    """Draw the course of a seed.

    Parameters
    ----------
    feed
        One of :data:`FEEDS`.
    burst
        Messages in a burst.
    """
    rng = random.Random(f"{feed} {seed}")  # noqa: S311  # repeatable
    faults = frozenset(rng.sample(MESSAGE_FAULTS, rng.randint(2, 7)))
    symbols = _SYMBOLS[feed][: rng.randint(1, 3)]
    manners = Manners(
        refused=_REFUSED if rng.random() < 0.25 else None,
        refuses_all=rng.random() < 0.5,
        names_refused=rng.random() < 0.7,
        data_first=rng.random() < 0.3,
        heartbeats=rng.random() < 0.9,
    )
    connections = []
    silences = 0
    for _ in range(rng.randint(2, 4)):
        end = rng.choice(ENDS)
        silences += end in SILENT_ENDS
        if silences > 1 and end in SILENT_ENDS:
            end = "drop"
        refusals = tuple(rng.sample(_REFUSALS, rng.randint(1, 2))) if rng.random() < 0.2 else ()
        connections.append(
            Connection(
                refusals, manners, rng.randint(1, 4), end, rng.choice(_CODES), rng.choice((0, 1, 4))
            )
        )
    path, microseconds = "", False
    if feed == "binance":
        path, microseconds = rng.choice(
            (("", False), ("/stream", False), ("/ws", False), ("/ws?timeUnit=MICROSECOND", True),
             ("/stream?timeUnit=microsecond", True))
        )  # fmt: skip
    return Plan(feed, seed, symbols, faults, tuple(connections), path, microseconds, burst)
