"""What a client has asked a venue for, what it has to ask again, and what the venue refuses.

A refusal that names symbols leaves those out, and the others are asked for again unless they are
acknowledged. An answer that names none and is no acknowledgement says that one of the symbols is
refused but not which: then each is asked for alone, and what is refused then is known.

A refusal lasts where the venue names a symbol that it has never served. Any other (the venue may be
under maintenance) is forgotten at the next connection.
"""

from collections import deque
from collections.abc import Sequence

from flows.feeds.protocol import VenueProtocol


class Subscription:
    """State of a client's subscriptions; does no I/O and reads no clock.

    Parameters
    ----------
    protocol
        Of the venue.
    symbols
        What is wanted.
    answer_s
        How long an answer is waited for, seconds.

    Attributes
    ----------
    refused
        Symbols that are left out now, with the venue's words.
    """

    def __init__(self, protocol: VenueProtocol, symbols: Sequence[str], answer_s: float) -> None:
        self.refused: dict[str, str] = {}
        self._protocol = protocol
        self._symbols = tuple(symbols)
        self._answer_s = answer_s
        self._lasting: set[str] = set()
        self._served: set[str] = set()
        self._carried_data = False
        self._again_s: float | None = None
        self._alone: deque[str] = deque()
        self._asked_alone: str | None = None
        self._answers = 0
        self._asks_again = False

    @property
    def wanted(self) -> list[str]:
        """Symbols that are not refused."""
        return [symbol for symbol in self._symbols if symbol not in self.refused]

    @property
    def refuses_all(self) -> bool:
        """Whether no symbol is left."""
        return len(self.refused) == len(self._symbols)

    @property
    def refuses_all_for_good(self) -> bool:
        """Whether no symbol is left, and none will be at another connection."""
        return len(self._lasting) == len(self._symbols)

    def begin(self) -> list[str]:
        """Return the requests of a new connection."""
        if self._carried_data:
            self._served.update(self.wanted)
        self.refused = {name: self.refused[name] for name in self.refused if name in self._lasting}
        self._carried_data = False
        self._again_s = self._asked_alone = None
        self._alone.clear()
        return self._requests(self.wanted)

    def note_data(self) -> None:
        """Note that the connection carries market data."""
        self._carried_data = True

    def acknowledge(self, now_s: float) -> None:
        """Note a confirmation."""
        is_alone = self._asked_alone is not None
        self._answered(now_s)
        if not is_alone:
            self._again_s = None
            self._alone.clear()

    def refuse(self, words: str, now_s: float) -> list[str]:
        """Note a refusal, and return the symbols that are left out from now on."""
        named = self._protocol.refused(words, self._symbols)
        if named:
            self._lasting.update(name for name in named if name not in self._served)
            new = [name for name in named if name not in self.refused]
            self.refused.update(dict.fromkeys(new, words))
            if self._asked_alone is None:
                # In case the request was refused as a whole.
                self._again_s, self._asks_again = now_s + self._answer_s, True
            self._answered(now_s)
            return new
        alone, is_answer = self._asked_alone, self._answers > 0
        self._answered(now_s)
        if alone is not None and alone not in self.refused:
            self.refused[alone] = words
            return [alone]
        if alone is None and is_answer and len(self.wanted) > 1:
            self._alone = deque(self.wanted)
            self._again_s = now_s + self._answer_s  # the other requests are answered first
        return []

    def due(self, now_s: float) -> list[str]:
        """Return the requests that have to be sent now."""
        if self._again_s is None or now_s < self._again_s:
            return []
        self._again_s = self._asked_alone = None
        while self._alone:
            symbol = self._alone.popleft()
            if symbol in self.refused:
                continue
            self._asked_alone, self._again_s = symbol, now_s + self._answer_s
            return self._requests([symbol])
        return self._requests(self.wanted) if self._asks_again else []

    def _requests(self, symbols: Sequence[str]) -> list[str]:
        requests = self._protocol.requests(symbols)
        self._answers = len(requests)
        self._asks_again = False
        return requests

    def _answered(self, now_s: float) -> None:
        """Note an answer; go on to the next symbol that is asked for alone."""
        self._answers -= 1
        if self._asked_alone is not None and self._answers <= 0:
            self._again_s = now_s if self._alone else None
            self._asked_alone = None
