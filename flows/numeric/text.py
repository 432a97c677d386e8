"""Numbers as text for people."""

from decimal import Decimal

_MOST_DIGITS = 10


def plain_number(value: float) -> str:
    """Return a price or a quantity without an exponent and with ten digits that count at most.

    Markets have prices of 0.00000123 and of 1,500,000,000: both are written out, the digits before
    the point in groups of three.
    """
    return f"{Decimal(f'{value:.{_MOST_DIGITS}g}'):,f}"
