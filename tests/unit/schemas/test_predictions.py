"""Feature values are the same in either of their forms."""

import base64
import json
import math
import struct
from typing import Any

import msgspec
import pytest

from schemas.decoding import decode_or_none
from schemas.predictions import FeatureRow

HEAD = {
    "symbol": "BTC-USD",
    "venue": "v",
    "ts_event_ns": 1,
    "feature_set": 1,
    "warm": True,
    "partition": 0,
    "offset": 7,
}


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def message(**fields: Any) -> bytes:
    return json.dumps({**HEAD, **fields}).encode()


def decoded(**fields: Any) -> FeatureRow | None:
    return decode_or_none(msgspec.json.Decoder(FeatureRow).decode, message(**fields))


def test_packed_values_are_read_as_numbers() -> None:
    row = decoded(values=[], values_f32=packed(0.5, math.nan, -2.0, math.inf))
    assert row is not None
    assert row.values == [0.5, None, -2.0, None]
    assert row == decoded(values=[0.5, None, -2.0, None])


def test_a_writer_may_give_both() -> None:
    row = decoded(values=[1.0], values_f32=packed(1.0))
    assert row == decoded(values=[1.0])


@pytest.mark.parametrize(
    "text",
    [base64.b64encode(b"12345").decode(), "no base64!", "AAAA=", 5],
    ids=["part of a value", "foreign characters", "bad padding", "a number"],
)
def test_what_is_no_row_of_float32_is_no_message(text: object) -> None:
    assert decoded(values=[], values_f32=text) is None
