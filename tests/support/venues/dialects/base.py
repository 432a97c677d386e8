"""What the venues' dialects have in common."""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.venues.market import Market, Quote, Trade

Message = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One message of the venue, and what a reader may take from it.

    Attributes
    ----------
    body
        An object, or what is sent as it is.
    trades
        Oldest first.
    number
        The message's number within its connection; None where it has none or cannot be read.
    before_subscription
        The trade is the newest from before the subscription.
    dead
        Reasons of the dead letters that it must lead to.
    """

    body: Message | str | bytes
    trades: tuple[Trade, ...] = ()
    quote: Quote | None = None
    number: int | None = None
    before_subscription: bool = False
    dead: tuple[str, ...] = ()

    @property
    def wire(self) -> str | bytes:
        """The message as it is sent."""
        if isinstance(self.body, dict):
            return json.dumps(self.body, separators=(",", ":"))
        return self.body

    def unreadable(self, body: str | bytes) -> "Entry":
        """Return the message damaged so that nothing can be read."""
        return Entry(body, dead=("broken_frame",))


@dataclass(frozen=True)
class Manners:
    """How a venue behaves on one connection, drawn from the seed.

    Attributes
    ----------
    refused
        A symbol that it does not trade.
    refuses_all
        A request with such a symbol is refused as a whole.
    names_refused
        The refusal names the symbol.
    data_first
        Data come before the acknowledgement.
    heartbeats
        False if it sends none.
    """

    refused: str | None = None
    refuses_all: bool = False
    names_refused: bool = True
    data_first: bool = False
    heartbeats: bool = True


@dataclass
class Dialect(ABC):
    """A venue's side of one connection.

    Attributes
    ----------
    symbols
        What it trades.
    ready
        Whether the client has subscribed to all that it needs.
    """

    market: Market
    symbols: Sequence[str]
    rng: random.Random
    manners: Manners = field(default_factory=Manners)
    ready: bool = False

    @abstractmethod
    def answer(self, request: Message) -> list[Entry]:
        """Return what the venue says to a client's message."""

    @abstractmethod
    def trades(self, symbol: str, count: int) -> list[Entry]:
        """Let a symbol trade so many times, and return the messages."""

    @abstractmethod
    def quoted(self, quote: Quote) -> Entry:
        """Return a quote's message."""

    @abstractmethod
    def heartbeats(self, ahead: int = 0) -> list[Entry]:
        """Return what comes every second, if anything does.

        Parameters
        ----------
        ahead
            The next so many trades are announced before they are told.
        """

    @abstractmethod
    def unknown(self) -> Entry:
        """Return a message of a type that the client cannot know."""

    @abstractmethod
    def farewell(self) -> Entry:
        """Return how the venue announces that it closes."""

    @abstractmethod
    def without_optional(self, entry: Entry) -> Entry:
        """Return the message without what the venue may leave out."""

    @abstractmethod
    def bad_trade(self, entry: Entry) -> Entry:
        """Return the message with one trade that cannot be used."""

    def blank(self, quote: Quote) -> Quote:
        """Return the quote with a side that is not stated."""
        nothing, none = self.rng.choice((("", ""), ("0", "0"), ("0.00000000", "0.00000000")))
        if self.rng.random() < 0.3:
            return replace(quote, bid=nothing, bid_size=none, ask=nothing, ask_size=none)
        if self.rng.random() < 0.5:
            return replace(quote, bid=nothing, bid_size=none)
        return replace(quote, ask=nothing, ask_size=none)

    def cross(self, quote: Quote) -> Quote:
        """Return the quote with the bid above the ask."""
        return replace(quote, bid=f"{float(quote.ask) * 1.001:.4f}")


def damaged(entry: Entry, rng: random.Random) -> Entry:
    """Return a message of which nothing can be read."""
    text = entry.wire if isinstance(entry.wire, str) else entry.wire.decode()
    cut = text[: rng.randrange(1, len(text))]
    return entry.unreadable(rng.choice((cut, text + "}", text.encode() + b"\xff\xfe", "", "null")))
