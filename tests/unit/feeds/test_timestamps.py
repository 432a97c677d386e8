from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.timestamps import MAX_NS, IsoTime, epoch_to_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1970-01-01T00:00:00Z", 0, id="epoch"),
        pytest.param("1970-01-01T00:00:00.000000001Z", 1, id="a nanosecond"),
        pytest.param("2023-11-14T22:13:20.1Z", 1_700_000_000_100_000_000, id="one decimal"),
        pytest.param(
            "2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789, id="nine decimals"
        ),
        pytest.param("2024-02-29T23:59:59.999Z", 1_709_251_199_999_000_000, id="leap day"),
        pytest.param(
            "2026-04-04T21:13:43.52889452Z", 1_775_337_223_528_894_520, id="eight decimals"
        ),
        pytest.param("2023-11-14T22:13:20+00:00", 1_700_000_000_000_000_000, id="no offset"),
        pytest.param("2023-11-14T22:13:20.5-00:00", 1_700_000_000_500_000_000, id="minus nothing"),
        pytest.param("2023-11-15T03:43:20.25+05:30", 1_700_000_000_250_000_000, id="east"),
        pytest.param("2023-11-14T14:13:20-08:00", 1_700_000_000_000_000_000, id="west"),
        pytest.param("2023-11-14T22:13:20z", 1_700_000_000_000_000_000, id="a small letter"),
        pytest.param("2023-11-14T22:13:20", 1_700_000_000_000_000_000, id="no zone"),
        pytest.param("2023-11-14T22:13:20.5", 1_700_000_000_500_000_000, id="half, no zone"),
        pytest.param("2023-11-14T23:13:20+0100", 1_700_000_000_000_000_000, id="no colon"),
        pytest.param("2023-11-14 21:13:20.5-01", 1_700_000_000_500_000_000, id="hours, a blank"),
        pytest.param("2023-11-14 22:13:20Z", 1_700_000_000_000_000_000, id="a blank"),
    ],
)
def test_reads_up_to_nine_decimals_exactly(text: str, expected: int) -> None:
    assert IsoTime().ns(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("Z", id="no time"),
        pytest.param("2023-11-14", id="no clock"),
        pytest.param("2023-11-14T22:13:20.", id="no decimals"),
        pytest.param("2023-11-14T22:13:20.Z", id="no decimals before the zone"),
        pytest.param("2023-11-14T22:13:20.1234567890Z", id="ten decimals"),
        pytest.param("2023-11-14T22:13:20.12x4Z", id="a letter"),
        pytest.param("2023-11-14T22:13:20.1_0Z", id="an underscore"),
        pytest.param("2023-11-14T22:13:20.-10Z", id="a sign"),
        pytest.param("2023-11-14T22:13:20,5Z", id="a comma"),
        pytest.param("2023-11-14T22:13:20+24:00", id="an offset of a day"),
        pytest.param("2023-11-14T22:13:20+1:00", id="half an offset"),
        pytest.param("2023-11-14T22:13:20+", id="a sign alone"),
        pytest.param("2023-11-14_22:13:20Z", id="something else than a T"),
        pytest.param("2023-11-14T22:13:20.+00:00", id="no decimals before an offset"),
        pytest.param("2023-13-14T22:13:20Z", id="month 13"),
        pytest.param("2023-02-29T22:13:20Z", id="no leap year"),
        pytest.param("2023-11-14T24:00:00Z", id="hour 24"),
        pytest.param("2023-11-14T22:60:00Z", id="minute 60"),
        pytest.param("2023-11-14T22:13:60Z", id="second 60"),
        pytest.param("2023-11-14T 2:13:20Z", id="a padded hour"),
        pytest.param("2023-11-14 22:13:20.048545084 +0000 UTC m=+41691.2", id="Go"),
        pytest.param("1969-12-31T23:59:59Z", id="before 1970"),
        pytest.param("9999-01-01T00:00:00Z", id="after 2262"),
        pytest.param("0000-01-01T00:00:00Z", id="year 0"),
    ],
)
def test_refuses_what_is_not_such_a_time(text: str) -> None:
    clock = IsoTime()
    for _ in range(2):  # also with what a first refusal left behind
        with pytest.raises(ValueError, match=r"is not|lies outside"):
            clock.ns(text)
    assert clock.ns("1970-01-01T00:00:01Z") == 1_000_000_000


moments = st.datetimes(datetime(1970, 1, 1), datetime(2261, 12, 31))  # noqa: DTZ001


@given(st.lists(st.tuples(moments, st.integers(0, 999))))
def test_agrees_with_datetime_whatever_came_before(times: list[tuple[datetime, int]]) -> None:
    clock = IsoTime()
    for moment, extra_ns in times:
        elapsed = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        whole = (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000
        text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}{extra_ns:03d}Z"
        assert clock.ns(text) == whole + extra_ns


def test_epoch_times_are_milliseconds_or_microseconds() -> None:
    assert epoch_to_ns(1_700_000_000_123) == 1_700_000_000_123_000_000
    assert epoch_to_ns(1_700_000_000_123_456) == 1_700_000_000_123_456_000


@pytest.mark.parametrize("value", [-1, MAX_NS, 10**13], ids=["negative", "largest", "far"])
def test_epoch_times_outside_the_calendar_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        epoch_to_ns(value)
