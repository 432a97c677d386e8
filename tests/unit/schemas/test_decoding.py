"""Bytes that are no message are None, whatever is wrong with them."""

import msgspec
import pytest

from schemas.decoding import decode_or_none
from schemas.ticks import Tick

FOREIGN = {
    "a tombstone": None,
    "nothing": b"",
    "text": b"hello",
    "not UTF-8": b'{"symbol": "\xff\xfe"}',
    "half a surrogate": b'{"symbol": "\\ud800"}',
    "endless nesting": b"[" * 100_000,
    "another message": b'{"type": "heartbeat"}',
    "an integer beyond 64 bits": b'{"symbol":"A","venue":"v","ts_event_ns":' + b"9" * 400 + b"}",
    "a list": b"[]",
    "null": b"null",
    "truncated": b'{"symbol": "BTC',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_bytes_are_none(kind: str) -> None:
    assert decode_or_none(msgspec.json.Decoder(Tick).decode, FOREIGN[kind]) is None


def test_a_message_is_decoded() -> None:
    tick = Tick(symbol="BTC-USD", venue="v", ts_event_ns=1, ts_recv_ns=None, price=1.0)
    assert decode_or_none(msgspec.json.Decoder(Tick).decode, msgspec.json.encode(tick)) == tick
