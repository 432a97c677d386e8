"""What a live client needs to know of its venue, and the limits that it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flows.feeds.base import Parser


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and the queue's length in frames.

    Attributes
    ----------
    connect_s
        Limit of connecting, of the TLS and of the WebSocket handshake.
    silence_s
        A connection without a sign of life for this long is given up.
    ping_s
        Time between our pings, which keep routers from dropping the connection.
    answer_s
        How long an answer to a subscription is waited for.
    backoff_s, backoff_cap_s
        First and longest wait before a new attempt; a wait doubles with each attempt that got no
        data, and a random half of it is left out, to spread clients that lost the same server.
    connections_per_min
        Most attempts to connect in any minute, also where each connection carries data.
    queue_frames
        Length of the queue: minutes of a busy market.
    queue_wait_s
        How long a frame waits for its place in a full queue before it is dropped.
    """

    connect_s: float = 5.0
    silence_s: float = 5.0
    ping_s: float = 2.0
    answer_s: float = 1.0
    backoff_s: float = 0.5
    backoff_cap_s: float = 30.0
    connections_per_min: int = 50
    queue_frames: int = 100_000
    queue_wait_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What a control message asks of the client.

    Attributes
    ----------
    refused
        The venue's own words for why it refuses something; symbols in them are left out.
    acknowledged
        True if the venue has confirmed a subscription.
    leave
        Why the connection is to be closed and made anew; None to stay.
    """

    refused: str | None = None
    acknowledged: bool = False
    leave: str | None = None


class VenueProtocol(Protocol):
    """How to speak to a venue; no I/O.

    Attributes
    ----------
    venue
        One of :class:`schemas.feeds.Venue`.
    probe
        A message that the venue answers whatever the market does, sent where it has said nothing
        for half the time after which it is given up; None where it sends heartbeats.
    messages_per_s
        How many messages the venue takes, pings included.
    """

    venue: str
    probe: str | None
    messages_per_s: float

    def address(self, url: str, symbols: Sequence[str]) -> str:
        """Return where to connect to; ``symbols`` may be named in it."""
        ...

    def requests(self, symbols: Sequence[str]) -> list[str]:
        """Return the messages that subscribe to some symbols."""
        ...

    def notice(self, text: str) -> Notice | None:
        """Return what a message asks of the client; None for market data."""
        ...

    def refused(self, words: str, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that a refusal names."""
        ...

    def parser(self) -> Parser:
        """Return a new parser of the venue's frames."""
        ...
