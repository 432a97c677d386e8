"""A dead letter of a feed names the field and the value that it was refused for."""

from typing import Any

import pytest

from flows.feeds.complaints import with_value
from flows.feeds.venues import parser_for
from schemas.feeds import Venue
from tests.unit.feeds.support import frame
from tests.unit.feeds.test_unstated import SOURCES, changed

PRICES = {"binance trade": "p"}


def with_price(message: Any, name: str, value: object) -> Any:
    """Return the message with another price, wherever in it that is."""
    if isinstance(message, list):
        return [with_price(each, name, value) for each in message]
    if not isinstance(message, dict):
        return message
    inner = {key: with_price(each, name, value) for key, each in message.items()}
    return changed(inner, name, value) if name in inner else inner


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1,5", '"1,5"'),
        (None, "null"),
        (["much"], "[..much..]"),
        ("x" * 99, '"' + "x" * 63 + "..."),
    ],
    ids=["text", "null", "list", "long"],
)
@pytest.mark.parametrize(
    ("source", "is_combined"), [*((each, False) for each in SOURCES), ("binance trade", True)]
)
def test_the_field_and_the_value_are_named(
    source: str, value: object, shown: str, is_combined: bool
) -> None:
    venue, make = SOURCES[source]
    name = PRICES.get(source, "price")
    message = with_price(make("bid", "9" if venue != Venue.SIMULATOR else 9.0)[-1], name, value)
    if is_combined:
        message = {"stream": "btcusdt@trade", "data": message}
    [dead] = parser_for(venue).parse(frame(message)).dead
    assert f"$.{name}`: " in dead.detail
    first, _, last = shown.partition("..much..")
    assert dead.detail.partition("`: ")[2].startswith(first)
    assert dead.detail.endswith(last)


@pytest.mark.parametrize(
    ("complaint", "payload", "told"),
    [
        ("no place", b"{}", "no place"),
        ("bad - at `$.a`", b'{"b":1}', "bad - at `$.a`"),
        ("bad - at `$.a`", b"[1]", "bad - at `$.a`"),
        ("bad - at `$[3]`", b"[1]", "bad - at `$[3]`"),
        ("bad - at `$.a`", b"\xff", "bad - at `$.a`"),
        ("bad - at `$[...]`", b'{"a":1}', "bad - at `$[...]`"),
        ("bad - at `$.a[1].b`", b'{"a":[0,{"b":1e999}]}', "bad - at `$.a[1].b`: 1e999"),
        ("bad - at `$.a`", '{"a":"\u00e9"}', 'bad - at `$.a`: "\u00e9"'),
    ],
)
def test_a_complaint_gets_the_value_at_its_place(
    complaint: str, payload: str | bytes, told: str
) -> None:
    assert with_value(complaint, payload) == told
