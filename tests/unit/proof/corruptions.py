"""Corruptions of a message."""

import dataclasses

import msgspec

from tests.support.kafka.tools import Message


def altered(message: Message, **fields: object) -> Message:
    """Return the message with other values of these fields."""
    whole = msgspec.json.decode(message.value)
    return dataclasses.replace(message, value=msgspec.json.encode({**whole, **fields}))
