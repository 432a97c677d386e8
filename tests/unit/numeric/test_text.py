"""Numbers as people read them."""

import pytest

from flows.numeric.text import plain_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (64_000.0, "64,000"),
        (64_822.23, "64,822.23"),
        (123_456.78, "123,456.78"),
        (1_512_345.5, "1,512,345.5"),
        (1_600_000_000.0, "1,600,000,000"),
        (1e15, "1,000,000,000,000,000"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1.234e-5, "0.00001234"),
        (1e-9, "0.000000001"),
        (-0.5, "-0.5"),
    ],
)
def test_a_number_is_written_out(value: float, text: str) -> None:
    assert plain_number(value) == text


def test_what_a_sum_of_floats_leaves_behind_is_not_told() -> None:
    assert plain_number(0.1 + 0.2) == "0.3"
