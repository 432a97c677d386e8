"""Decode bytes that anybody may have written: on a topic, in Redis, in a file or a request."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError)
"""What decoding raises for bytes that are no message: wrong JSON, wrong types, text that is not
UTF-8, endless nesting, and integers beyond 64 bits (``msgspec.ValidationError`` is among them)."""

Message = TypeVar("Message")


def decode_or_none(decode: Callable[[bytes], Message], value: bytes | None) -> Message | None:
    """Return the decoded message; None for bytes that are none, and for a message without bytes.

    Parameters
    ----------
    decode
        ``msgspec.json.Decoder(Type).decode``.
    value
        Payload; None for a tombstone.
    """
    if value is None:
        return None
    try:
        return decode(value)
    except UNREADABLE:
        return None
