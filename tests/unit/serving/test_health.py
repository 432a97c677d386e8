"""Freshness by two clocks: a score from the future is named, never taken for a new one."""

import pytest

from schemas.dead_letters import DeadLetterRate
from serving.monitoring.health import dead_letter_warning, freshness
from tests.support.api import prediction

NOW_NS = 1_800_000_000_000_000_000


def judged(*ages_s: float):
    made = [prediction(ts_scored_ns=NOW_NS - int(age_s * 1e9)) for age_s in ages_s]
    return freshness(made, NOW_NS, 30.0, simulated=False)


@pytest.mark.parametrize(
    ("ages_s", "ok", "words", "warned"),
    [
        ((0.5,), True, "0.5 s old", False),
        ((31.0,), False, "31.0 s old", False),
        ((31.0, 2.0), True, "2.0 s old", False),
        ((-0.5,), True, "0.5 s ahead", False),
        ((-5.0,), True, "5.0 s ahead", True),
        ((-60.0,), False, "60.0 s ahead", True),
        ((-60.0, 40.0), False, "60.0 s ahead", True),
        ((-60.0, 3.0), True, "3.0 s old", True),
    ],
    ids=str,
)
def test_freshness(ages_s, ok, words, warned):
    found = judged(*ages_s)
    assert found.check.ok is ok
    assert words in found.check.detail
    assert bool(found.warnings) is warned


def test_the_warning_counts_symbols_and_names_the_seconds():
    (warning,) = judged(-60.0, 1.0, -7.0).warnings
    assert "2 of 3 symbols" in warning
    assert "60.0 s ahead" in warning


def test_no_score_is_no_fresh_score():
    assert freshness([], NOW_NS, 30.0, simulated=False).check.ok is False


def test_dead_letters_are_named_by_reason():
    words = dead_letter_warning(
        DeadLetterRate(seconds=60.2, counts={"not_json": 7, "bad_price": 2})
    )
    assert words.startswith("9 dead letters in 60 s (2 bad_price, 7 not_json)")
