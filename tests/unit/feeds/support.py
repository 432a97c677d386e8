"""What several tests of feeds need."""

import json

import msgspec

from flows.feeds.base import Frame, Parser
from flows.feeds.processor import Messages
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick


def decoded(messages: Messages) -> list[Tick]:
    """Return the ticks of messages."""
    return [msgspec.json.decode(value, type=Tick) for _, value in messages.ticks]


def letters(messages: Messages) -> list[DeadLetter]:
    """Return the dead letters of messages."""
    return [msgspec.json.decode(value, type=DeadLetter) for _, value in messages.dead]


def frame(message: object, ts_recv_ns: int | None = 1, *, fresh: bool = False) -> Frame:
    """Return a frame of an object, or of a text as it is."""
    text = message if isinstance(message, str) else json.dumps(message)
    return Frame(ts_recv_ns, text, fresh)


def ticks(parser: Parser, *messages: object) -> list[Tick]:
    """Return all ticks of some messages."""
    return [tick for message in messages for tick in parser.parse(frame(message)).ticks]
