"""What clients say that they take, and have already."""

import pytest

from serving.http.negotiation import has_already, takes_gzip


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, br", True),
        ("gzip;q=1.0", True),
        ("gzip ; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzip-like", False),
        ("gzip;q=much", True),
        (";;,=,q=0", False),
    ],
    ids=str,
)
def test_gzip_is_taken_where_its_weight_is_not_zero(header: str | None, taken: bool) -> None:
    assert takes_gzip(header) is taken


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
    ],
    ids=["none", "same", "weak", "among others", "any", "other", "unquoted"],
)
def test_a_tag_is_compared_weakly(header: str | None, known: bool) -> None:
    assert has_already(header, '"a"') is known
