import json

import pytest

from flows.feeds.coinbase_exchange.parse import ExchangeParser
from flows.feeds.shapes.learning import SYMBOL_SLOT, TIME_SLOT, Fields, learn, slot
from flows.feeds.shapes.scanner import END, SKIPPED_NUMBER, SKIPPED_TEXT

FIELDS = Fields(
    read={("s",): SYMBOL_SLOT, ("t",): TIME_SLOT, ("p",): slot("price")},
    constant=frozenset([("type",)]),
)


def line(frame: str, received: str = "7") -> bytes:
    return f'{{"ts_recv_ns":{received},"frame":{json.dumps(frame)}}}'.encode()


def test_what_varies_is_cut_out_and_the_rest_stays() -> None:
    shape = learn(line('{"type":"a","s":"X", "n":-5,"p":"1","q":[null,"z"]}'), FIELDS)
    assert shape is not None
    assert [part for part, _ in shape.parts] == [
        b'{"ts_recv_ns":',
        b',"frame":"{\\"type\\":\\"a\\",\\"s\\":\\"',
        b'\\", \\"n\\":',
        b',\\"p\\":\\"',
        b'\\",\\"q\\":[null,\\"',
        b'\\"]}"}',
    ]
    assert [kind for _, kind in shape.parts[1:]] == [
        SYMBOL_SLOT, (SKIPPED_NUMBER, 0), slot("price"), (SKIPPED_TEXT, 0), (END, 0),
    ]  # fmt: skip
    assert shape.has("price")
    assert not shape.has("size")


def test_frames_that_differ_in_values_alone_have_one_shape() -> None:
    one = learn(line('{"type":"a","s":"X","p":1}', "7"), FIELDS)
    two = learn(line('{"type":"a","s":"LONG","p":22.5}', "99"), FIELDS)
    assert one is not None
    assert one == two
    for other in ('{"type":"b","s":"X","p":1}', '{"type":"a","s":"X","p":null}', '{"s":"X","p":1}'):
        assert learn(line(other), FIELDS) != one
    assert learn(line('{"type":"a","s":"X","p":1}', "null"), FIELDS) != one


@pytest.mark.parametrize(
    "frame",
    [
        "", "{", "{}x", "[1", '{"s":"X","s":"Y"}', '{"s":7}', '{"s":"a\\\\b"}', '{"s":"\u00e9"}',
        '{"p":1,}', '{"p" 1}', '{p:1}', '{"p":+1}', "[" * 9 + "]" * 9, "\t{}",
    ],
)  # fmt: skip
def test_an_unusual_frame_has_no_shape(frame: str) -> None:
    assert learn(line(frame), FIELDS) is None


@pytest.mark.parametrize(
    "whole",
    [b"", b"{}", line("{}")[:-1], line("{}") + b" ", line("{}", "-1"), line("{}", '"7"'),
     b'{"frame":"{}","ts_recv_ns":7}', line("{}")[:-1] + b',"fresh":true}'],
)  # fmt: skip
def test_an_unusual_line_has_no_shape(whole: bytes) -> None:
    assert learn(whole, FIELDS) is None


def test_what_decides_on_a_frame_is_no_value() -> None:
    frame = '{"type":"match","product_id":"BTC-USD","price":"5","side":"buy"}'
    shape = learn(line(frame), ExchangeParser.fields)
    assert shape is not None
    assert b'\\"type\\":\\"match\\"' in shape.parts[1][0]
    assert b'\\"side\\":\\"buy\\"' in shape.parts[-1][0]
