"""Convert event times to whole nanoseconds, without floats between."""

import re
from datetime import date

from flows.numeric.time import NS_PER_DAY, NS_PER_MS, NS_PER_S, NS_PER_US

MAX_NS = 2**63 - 1

_SECOND_CHARS = 19  # 2026-04-04T21:13:43
_DAY_CHARS = 10
_SCALE: dict[int, int] = {digits: 10 ** (9 - digits) for digits in range(1, 10)}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[T ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])")
_REST = re.compile(r"(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?")
_EPOCH = date(1970, 1, 1)
_MICROSECONDS_FROM = 10**14  # as milliseconds this would be the year 5138


class IsoTime:
    """Parse ``2026-04-04T21:13:43.528894520Z`` with none to nine decimals, or with an offset.

    A time without a zone is UTC: venues give no other. A blank may stand in the place of the T.

    Neighbouring frames share their second and their day, so both are kept with their values.
    """

    __slots__ = ("_base_ns", "_day", "_day_ns", "_second")

    def __init__(self) -> None:
        self._day = ""
        self._day_ns = 0
        self._second: str | None = None
        self._base_ns = 0

    def ns(self, text: str) -> int:
        """Return nanoseconds since the UNIX epoch.

        Raises
        ------
        ValueError
            The text is not such a time, or it lies outside 1970-2262.
        """
        second = text[:_SECOND_CHARS]
        if second != self._second:
            self._base_ns = self._second_ns(second)
            self._second = second
        digits = text[_SECOND_CHARS + 1 : -1]
        scale = _SCALE.get(len(digits))
        if scale is None or text[_SECOND_CHARS] != "." or text[-1] != "Z":
            return self._base_ns + _rest_ns(text)
        if digits.isdecimal():
            return self._base_ns + int(digits) * scale
        raise _refused(text)

    def _second_ns(self, second: str) -> int:
        day = second[:_DAY_CHARS]
        if day != self._day:
            self._day_ns = _day_ns(day)
            self._day = day
        match = _CLOCK.fullmatch(second, _DAY_CHARS)
        if match is None:
            message = f"{second!r} is not a UTC time"
            raise ValueError(message)
        hour, minute, rest = match.groups()
        return self._day_ns + (int(hour) * 3_600 + int(minute) * 60 + int(rest)) * NS_PER_S


def _rest_ns(text: str) -> int:
    """Return what the decimals and the zone of a time add to its second."""
    match = _REST.fullmatch(text, _SECOND_CHARS)
    if match is None:
        raise _refused(text)
    digits, sign, hours, minutes = match.groups()
    decimals_ns = int(digits) * _SCALE[len(digits)] if digits else 0
    if sign is None:
        return decimals_ns
    offset_ns = (int(hours) * 3_600 + int(minutes or 0) * 60) * NS_PER_S
    return decimals_ns - offset_ns if sign == "+" else decimals_ns + offset_ns


def _refused(text: str) -> ValueError:
    return ValueError(f"{text[:64]!r} is not a time with up to nine decimals")


def _day_ns(day: str) -> int:
    try:
        parsed = date.fromisoformat(day) if _DAY.fullmatch(day) else None
    except ValueError:
        parsed = None
    if parsed is None:
        message = f"{day!r} is not a date"
        raise ValueError(message)
    value = (parsed - _EPOCH).days * NS_PER_DAY
    if not 0 <= value <= MAX_NS - NS_PER_DAY:
        message = f"{day!r} lies outside 1970-2262"
        raise ValueError(message)
    return value


def epoch_to_ns(value: int) -> int:
    """Convert milliseconds, or microseconds where the venue was asked for those.

    Raises
    ------
    ValueError
        The time lies outside 1970-2262.
    """
    ns = value * NS_PER_US if value >= _MICROSECONDS_FROM else value * NS_PER_MS
    if not 0 <= ns <= MAX_NS:
        message = f"{value} lies outside 1970-2262"
        raise ValueError(message)
    return ns
