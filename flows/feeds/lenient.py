"""Read messages whose optional numbers are blank, and errors of any shape."""

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

Message = TypeVar("Message")


def decode_leniently(
    payload: str | bytes | msgspec.Raw, kind: type[Message] | Any, optional: Collection[str]
) -> Message:
    """Decode a message after null has replaced each optional number that is text but no number.

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
    fields = msgspec.json.decode(payload)
    if isinstance(fields, dict):
        for name in optional:
            if isinstance(fields.get(name), str) and not _is_number(fields[name]):
                fields[name] = None
    message: Message = msgspec.convert(fields, kind, strict=False)
    return message


def error_text(*parts: object) -> str:
    """Return what the fields of an error say, in one line; what is no text as JSON."""
    texts = [
        part if isinstance(part, str) else msgspec.json.encode(part).decode()
        for part in parts
        if part
    ]
    return ": ".join(dict.fromkeys(texts))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
