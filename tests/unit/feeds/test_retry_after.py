"""How long a server asks its clients to stay away."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from flows.feeds.retry_after import http_date_ns, retry_after_s

NOW_S = 1_700_000_000
NOW_NS = NOW_S * 10**9
BACKFILL_NOW_S = 1_760_000_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (format_datetime(datetime.fromtimestamp(NOW_S + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW_S - 90, UTC), usegmt=True), 0.0),
        ("-3", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
    ids=["seconds", "none", "fraction", "date", "past", "negative", "inf", "nan", "word", "", "no"],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW_NS) == expected


def test_a_date_is_read_to_the_second() -> None:
    assert http_date_ns("Tue, 14 Nov 2023 22:13:20 GMT") == NOW_NS
    assert http_date_ns("Tue, 14 Nov 2023 22:13:20 -0000") == NOW_NS
    assert http_date_ns("Tue, 14 Novem") is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("5", 5.0),
        (" 120 ", 120.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("Thu, 09 Oct 2025 08:54:00 GMT", 1_760_000_040 - BACKFILL_NOW_S),
        ("Thu, 09 Oct 2025 08:50:00 GMT", 0.0),
    ],
    ids=["none", "seconds", "blanks", "negative", "words", "date", "past-date"],
)
def test_a_header_that_says_nothing_asks_for_no_pause(header: str, seconds: float) -> None:
    assert (retry_after_s(header, BACKFILL_NOW_S * 10**9) or 0.0) == seconds
