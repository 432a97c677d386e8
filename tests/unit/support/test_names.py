"""Names of tests hold nothing that may change from one process to the next."""

import gzip

import pytest

from tests.support.names import id_of, unstable

NAMED_AFTER_THEIR_ARGUMENT = {
    "bytes": b"x",
    "a gzip stream": gzip.compress(b"x"),
    "a time": 1_700_000_000,
    "a time in seconds": 1_700_000_000.5,
    "an old time": -(10**9),
    "a path": "/tmp/pytest-of-somebody",  # noqa: S108 (a name, not used)
    "an address": "<object at 0x7f3a2b1c4d5e>",
    "a port": "127.0.0.1:54321",
    "a long text": "x" * 100,
    "two lines": "a\nb",
    "a long number in a text": "at 17000000000",
    "a letter of another alphabet": "\N{GREEK SMALL LETTER ALPHA}",
}


@pytest.mark.parametrize("kind", NAMED_AFTER_THEIR_ARGUMENT)
def test_what_may_change_is_named_after_its_argument(kind: str) -> None:
    assert id_of(NAMED_AFTER_THEIR_ARGUMENT[kind], "value") == "value"


@pytest.mark.parametrize("value", ["BTC-USD", "/scores/BTC-USD", 0, -60, 3.5, True, None, ("a",)])
def test_short_plain_values_keep_pytests_name(value: object) -> None:
    assert id_of(value, "value") is None


def test_names_that_may_change_are_found() -> None:
    good = ["tests/a.py::test_x", "tests/a.py::test_x[BTC-USD-3]"]
    bad = [
        "tests/a.py::test_x[\\x1f\\x8b]",
        "tests/a.py::test_x[/tmp/somewhere]",
        "tests/a.py::test_x[1700000000000]",
        "tests/a.py::test_x[<object at 0x7f00aabbcc>]",
        "tests/a.py::test_x[" + "y" * 300 + "]",
    ]
    assert unstable([*good, *bad]) == bad
