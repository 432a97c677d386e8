"""What could not be used, kept whole with the reason."""

from enum import StrEnum

import msgspec


class Reason(StrEnum):
    """Why a message was refused."""

    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    BAD_PRICE = "bad_price"
    CROSSED_BOOK = "crossed_book"
    NEGATIVE_SIZE = "negative_size"
    FUTURE_TIME = "future_time"
    ANCIENT_TIME = "ancient_time"
    TOO_LARGE = "too_large"
    UNKNOWN_SYMBOL = "unknown_symbol"
    BROKEN_FRAME = "broken_frame"
    UNSCORABLE = "unscorable"


class DeadLetterRate(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters a flow has made of late, in Redis while they are more than a few.

    Attributes
    ----------
    seconds
        Time over which they were counted.
    counts
        How many, by reason.
    """

    seconds: float
    counts: dict[str, int]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``dead.letters``.

    Attributes
    ----------
    reason
        One of :class:`Reason`.
    detail
        A sentence naming the field and the value.
    topic, partition, offset
        Origin; null for a frame that a feed could not parse and that never was on a topic.
    venue
        The feed it came from, for frames.
    payload
        The raw bytes, base64 in JSON.
    """

    reason: Reason
    detail: str
    payload: bytes
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    venue: str | None = None
