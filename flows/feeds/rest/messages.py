"""One answer of a venue, as a frame: what was asked for, and the body as it came."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from schemas.ticks import Count64, Int64, Symbol

PREFIX = '{"get":'

Kind = Literal["trades", "quote", "last"]


class Answer(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """The text of a polled frame.

    Attributes
    ----------
    get
        Path and query of the request.
    kind
        ``trades``: some trades; ``quote``: the best quotes; ``last``: the newest trade with the
        best quotes, where the venue gives no trades.
    symbol
        Normalised pair, which most bodies do not name.
    from_id
        Trades with lower ids are known already, or too old; None to take all.
    date_ns
        The venue's clock when it answered, whole seconds as nanoseconds since the UNIX epoch; None
        where it does not say.
    body
        The body, if it is JSON.
    text
        The body, if it is not.
    """

    get: str
    kind: Kind
    symbol: Symbol
    from_id: Count64 | None = None
    date_ns: Int64 | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")
    text: str | None = None


def is_polled(opening: Iterable[str]) -> bool:
    """Return whether the first frames of a recording are answers over HTTP."""
    return any(text.startswith(PREFIX) for text in opening)
