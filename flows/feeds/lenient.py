"""Read messages whose optional numbers are none, and errors of any shape."""

import re
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from schemas.decoding import UNREADABLE

Message = TypeVar("Message")

_NUMBER = re.compile(
    r"\s*(?:\+|(-))?(?=\.?[0-9])0*([0-9]*)(?:\.([0-9]*))?(e[+-]?[0-9]+)?\s*",
    re.ASCII | re.IGNORECASE,
)
_TEXT_OR_NUMBER = tuple(each.encode() for each in '"-0123456789')
_NULL = msgspec.Raw(b"null")


def decode_leniently(
    payload: str | bytes | msgspec.Raw, kind: type[Message] | Any, optional: Collection[str]
) -> Message:
    """Decode a message after null has replaced each optional number that is none.

    That is text that is no number, and what no float64 holds (``1e999``). Text such as ``+5``,
    ``.5``, ``5.`` and `` 5 `` is the number that it means. Another type (``true``, a list) is left
    to be refused: the venue has changed its messages.

    Slower than a decoder of the message's type: for messages which that has refused.

    Parameters
    ----------
    kind
        Type of the message, or a union of types.
    optional
        Names of fields that may be null.

    Raises
    ------
    msgspec.DecodeError
        The message is broken all the same.
    """
    fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    for name in optional:
        if name in fields:
            fields[name] = _number_or_null(fields[name])
    message: Message = msgspec.json.decode(msgspec.json.encode(fields), type=kind, strict=False)
    return message


def error_text(*parts: object) -> str:
    """Return what the fields of an error say, in one line; what is no text as JSON."""
    texts = [
        part if isinstance(part, str) else msgspec.json.encode(part).decode()
        for part in parts
        if part
    ]
    return ": ".join(dict.fromkeys(texts))


def _number_or_null(value: msgspec.Raw) -> msgspec.Raw:
    """Return text as the number that it means, as null where it means none; all else as it is."""
    if _is_number(value):
        return value
    if not bytes(value).startswith(_TEXT_OR_NUMBER):
        return value
    try:
        found = _NUMBER.fullmatch(msgspec.json.decode(value, type=str))
    except UNREADABLE:
        return _NULL
    if found is None:
        return _NULL
    minus, whole, part, power = (each or "" for each in found.groups())
    plain = msgspec.Raw(f"{minus}{whole or 0}{part and f'.{part}'}{power}".encode())
    return plain if _is_number(plain) else _NULL


def _is_number(value: msgspec.Raw) -> bool:
    """Return whether a decoder of numbers or null, sent as text or not, takes a value."""
    try:
        msgspec.json.decode(value, type=float | None, strict=False)
    except UNREADABLE:
        return False
    return True
