import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bars.span import Span, epoch_ns, holes, missing_pages, span_of
from flows.errors import ConfigurationError
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S, text_of

NOW_NS = 1_770_000_030 * NS_PER_S  # 2026-02-02T02:40:30Z
MINUTE = NS_PER_MINUTE
START = 29_500_000 * MINUTE


def minutes(*numbers: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([START + number * MINUTE for number in numbers], np.int64)


def span(first: int, following: int) -> Span:
    return Span(START + first * MINUTE, START + following * MINUTE)


@pytest.mark.parametrize(
    ("start", "end", "last", "text"),
    [
        (None, None, "10m", "2026-02-02T02:31:00Z to 2026-02-02T02:41:00Z"),
        (None, None, "2d", "2026-01-31T02:41:00Z to 2026-02-02T02:41:00Z"),
        ("2026-02-01", "2026-02-02", None, "2026-02-01T00:00:00Z to 2026-02-02T00:00:00Z"),
        ("2026-02-01T12:30:20", None, None, "2026-02-01T12:31:00Z to 2026-02-02T02:41:00Z"),
        ("2026-02-01T12:00+02:00", None, None, "2026-02-01T10:00:00Z to 2026-02-02T02:41:00Z"),
        (None, "2026-02-01", "1h", "2026-01-31T23:00:00Z to 2026-02-01T00:00:00Z"),
        ("2026-02-01", "2027-01-01", None, "2026-02-01T00:00:00Z to 2026-02-02T02:41:00Z"),
    ],
    ids=["last", "days", "dates", "cut-to-bars", "offset", "last-before-end", "future-end"],
)
def test_the_span_that_options_mean(
    start: str | None, end: str | None, last: str | None, text: str
) -> None:
    assert str(span_of(start, end, last, NOW_NS, 60)) == text


@pytest.mark.parametrize(
    ("start", "end", "last", "problem"),
    [
        (None, None, None, "say --last 2d, or --from"),
        ("2026-02-01", None, "2d", "say --last 2d, or --from"),
        ("yesterday", None, None, "--from 'yesterday' is no time"),
        ("2026-02-01", "soon", None, "--to 'soon' is no time"),
        ("1999-01-01", None, None, "before 2009"),
        (None, None, "2", "--last '2' is no duration"),
        (None, None, "0d", "is no duration"),
        (None, None, "-2d", "is no duration"),
        (None, None, "99999999d", "is no duration"),
        ("2026-02-01", "2026-01-01", None, "is not before"),
        ("2027-01-01", "2027-02-01", None, "yet to come"),
        ("2026-02-01T00:00:10", "2026-02-01T00:00:20", None, "no bar of 60 s begins in"),
    ],
    ids=[
        *("nothing", "both", "no-start", "no-end", "too-early", "no-unit", "zero", "negative"),
        *("too-long", "backwards", "future", "within-a-bar"),
    ],
)
def test_options_without_meaning_are_refused(
    start: str | None, end: str | None, last: str | None, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        span_of(start, end, last, NOW_NS, 60)


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
def test_an_epoch_is_known_by_its_magnitude(factor: int) -> None:
    assert epoch_ns(1_770_000_000 * factor) == 1_770_000_000 * NS_PER_S


@pytest.mark.parametrize("value", [0, -1, 100, 10**30], ids=["zero", "negative", "small", "huge"])
def test_what_is_no_epoch_in_any_unit_is_none(value: int) -> None:
    assert epoch_ns(value) is None


def test_pages_are_cut_at_absolute_places_and_narrowed_to_what_is_missing() -> None:
    # START is a multiple of 10 minutes.
    have = minutes(10, 11, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29)
    pages = missing_pages(span(3, 35), have, MINUTE, 10)
    assert pages == [span(3, 10), span(12, 20), span(30, 35)]


def test_holes_are_named_from_their_first_missing_bar_to_the_next_known_one() -> None:
    assert holes(span(0, 10), minutes(1, 2, 5, 9), MINUTE) == [span(0, 1), span(3, 5), span(6, 9)]
    assert holes(span(0, 3), minutes(0, 1, 2), MINUTE) == []
    assert holes(span(0, 3), minutes(), MINUTE) == [span(0, 3)]


@given(
    first=st.integers(0, 50),
    length=st.integers(1, 60),
    have=st.sets(st.integers(0, 110)),
    page_bars=st.integers(1, 40),
)
def test_pages_and_holes_cover_exactly_what_is_missing(
    first: int, length: int, have: set[int], page_bars: int
) -> None:
    asked = span(first, first + length)
    known = minutes(*sorted(have))
    missing = {START + at * MINUTE for at in range(first, first + length) if at not in have}

    pages = missing_pages(asked, known, MINUTE, page_bars)
    covered = [at for page in pages for at in range(page.from_ns, page.to_ns, MINUTE)]
    assert len(covered) == len(set(covered))
    assert missing <= set(covered)
    assert all((page.to_ns - page.from_ns) // MINUTE <= page_bars for page in pages)
    assert all(page.from_ns in missing and page.to_ns - MINUTE in missing for page in pages)

    found = holes(asked, known, MINUTE)
    inside = [at for hole in found for at in range(hole.from_ns, hole.to_ns, MINUTE)]
    assert sorted(missing) == inside


def test_text_is_utc() -> None:
    assert text_of(0) == "1970-01-01T00:00:00Z"
