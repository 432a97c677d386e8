"""Times as files write them: epochs of any unit, ISO text, dates and times apart, Excel's days.

The unit of a number is found for each value alone, by its magnitude: a venue may change its unit
from one month to the next, and then one folder holds both.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_DAY, NS_PER_MS, NS_PER_S, NS_PER_US

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a time that cannot be read; no plausible time has this value."""

EARLIEST_NS = 315_532_800 * NS_PER_S  # 1980
LATEST_NS = 4_102_444_800 * NS_PER_S  # 2100
EXCEL_DAYS = (20_000, 80_000)  # 1954 to 2119
_EXCEL_EPOCH_DAYS = 25_569  # days from Excel's day 0 to 1970-01-01

# Plausible seconds lie between 3e8 and 4.1e9; each finer unit is a thousand times that, so that no
# value fits two of them.
_FACTORS = (NS_PER_S, NS_PER_MS, NS_PER_US, 1)
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d:.])(?:\d{4}(?=\d{4}(?!\d))|(?:\d{4}|\d{2})(?![\d:]))")
_DASHES = re.compile(r"^(\d{4}-\d{2}-\d{2})[-_](\d{2})[-:](\d{2})[-:](\d{2})")
_MIDNIGHT = re.compile(r"[ T]0?0:00(:00(\.0+)?)?$")
_ZONE = re.compile(r"\d\s*(?!AM$|PM$)[A-Z]{2,5}$")
_DAY_MONTH = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(.*)")


def integers_to_ns(values: Int64) -> Int64:
    """Return nanoseconds since 1970 of seconds, milliseconds, microseconds or nanoseconds.

    Also of ``YYYYMMDD``, ``YYYYMMDDhhmm``, ``YYYYMMDDhhmmss`` and Excel's days, which as epochs
    would be before 1980 or after 2100. What fits nothing is ``UNKNOWN``.
    """
    magnitude = values.astype(np.float64)
    made = np.full(len(values), UNKNOWN, np.int64)
    for factor in _FACTORS:
        # In float64 first: the product may not fit into 64 bits.
        fits = (magnitude * factor >= EARLIEST_NS) & (magnitude * factor < LATEST_NS)
        made[fits] = values[fits] * factor
    excel = (magnitude > EXCEL_DAYS[0]) & (magnitude < EXCEL_DAYS[1])
    made[excel] = (values[excel] - _EXCEL_EPOCH_DAYS) * NS_PER_DAY
    for row in np.flatnonzero(made == UNKNOWN):
        made[row] = _calendar(str(values[row]))
    return made


def floats_to_ns(values: Float64) -> Int64:
    """Return nanoseconds since 1970 of epochs with fractions, or of Excel's days."""
    made = np.full(len(values), UNKNOWN, np.int64)
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**63)
    made[whole] = integers_to_ns(values[whole].astype(np.int64))
    excel = (values > EXCEL_DAYS[0]) & (values < EXCEL_DAYS[1])
    days = values[excel] - _EXCEL_EPOCH_DAYS
    # To the millisecond: a day's fraction is written with that much precision.
    made[excel] = np.round(days * 86_400_000).astype(np.int64) * NS_PER_MS
    rest = np.isfinite(values) & ~whole & ~excel
    for row in np.flatnonzero(rest):
        factor = _factor(float(values[row]))
        second, fraction = divmod(float(values[row]), 1.0)
        # A float64 of seconds knows the tenth of a microsecond.
        fine = round(fraction * factor, -2) if factor == NS_PER_S else round(fraction * factor)
        made[row] = int(second) * factor + int(fine)
    made[~plausible(made)] = UNKNOWN
    return made


def _factor(value: float) -> int:
    """Return the nanoseconds of an epoch's unit; 0 where no unit makes it a plausible time."""
    fits = (factor for factor in _FACTORS if EARLIEST_NS <= value * factor < LATEST_NS)
    return next(fits, 0)


def text_to_ns(values: "pd.Series[Any]") -> tuple[Int64, str]:
    """Return nanoseconds since 1970 of numbers or text; without an offset, text is UTC.

    Returns
    -------
    Times, ``UNKNOWN`` where a value cannot be read, and a reason that holds for all of them, or
    nothing.
    """
    plain = pa.array(values, from_pandas=True)
    if not plain.null_count:
        try:
            return integers_to_ns(np.array(plain.cast(pa.int64()).to_numpy(), np.int64)), ""
        except pa.ArrowException:
            pass  # not all of them are whole numbers
    texts = np.array([str(value).strip().strip("\"'") for value in values.fillna("")], object)
    made = np.full(len(texts), UNKNOWN, np.int64)
    numbers = np.array([bool(_NUMBER.fullmatch(each)) for each in texts], np.bool_)
    integers = np.array([bool(_INTEGER.fullmatch(each)) for each in texts], np.bool_)
    if any("e" in each.lower() for each in texts[numbers]):
        return made, "numbers in scientific notation have lost the digits of their times"
    if integers.any():
        # Digits without end are no time, and int() refuses thousands of them.
        short = np.array([len(each) <= 20 for each in texts], np.bool_) & integers
        whole = {int(row): int(texts[row]) for row in np.flatnonzero(short)}
        fitting = np.array([row for row, value in whole.items() if abs(value) < 2**63], np.int64)
        made[fitting] = integers_to_ns(np.array([whole[row] for row in fitting], np.int64))
    fractions = numbers & ~integers
    if fractions.any():
        made[fractions] = floats_to_ns(texts[fractions].astype(np.float64))
    words = ~numbers & (texts != "")
    if words.any():
        parsed, problem = _dates(texts[words])
        if problem:
            return made, problem
        made[words] = parsed
    return made, ""


def column_to_ns(column: pa.Array | pa.ChunkedArray) -> tuple[Int64, str]:
    """Return nanoseconds since 1970 of an Arrow column of any type that can hold times.

    Timestamps and dates are converted by their type, integers by the magnitude of each value.
    Nulls are ``UNKNOWN``. See :func:`text_to_ns`.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    known = ~np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    made = np.full(len(column), UNKNOWN, np.int64)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamped = column.cast(pa.timestamp("s")) if pa.types.is_date32(kind) else column
        unit = "ms" if pa.types.is_date64(kind) else stamped.type.unit
        factor = {"s": NS_PER_S, "ms": NS_PER_MS, "us": NS_PER_US, "ns": 1}[unit]
        numbers = stamped.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        made[known] = numbers[known] * factor
    elif pa.types.is_integer(kind):
        numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        made[known] = integers_to_ns(np.array(numbers[known], np.int64))
    elif pa.types.is_decimal(kind):
        return text_to_ns(column.cast(pa.string()).to_pandas())
    elif pa.types.is_floating(kind):
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        made[known] = floats_to_ns(np.array(numbers[known], np.float64))
    else:
        return text_to_ns(column.cast(pa.string()).to_pandas())
    return made, ""


def join_date_and_time(dates: "pd.Series[Any]", times: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return text of a date column and a time column together, ``93000`` for half past nine."""

    def together(date: Any, time: Any) -> str:
        if pd.isna(date) or pd.isna(time):
            return ""
        clock = str(time).strip()
        if clock.isdigit():
            padded = clock.zfill(4 if len(clock) <= 4 else 6)
            clock = ":".join(padded[at : at + 2] for at in range(0, len(padded), 2))
        day = _MIDNIGHT.sub("", str(date).strip())
        if day.isdigit() and len(day) == 8:
            day = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        return f"{day} {clock}"

    pairs = zip(dates, times, strict=True)
    return pd.Series([together(date, time) for date, time in pairs], dtype=object)


def plausible(ts_ns: Int64) -> Bool:
    """Return which times lie between 1980 and 2100."""
    return np.asarray((ts_ns >= EARLIEST_NS) & (ts_ns < LATEST_NS), np.bool_)


def _calendar(digits: str) -> int:
    formats = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    if len(digits) not in formats:
        return int(UNKNOWN)
    found = pd.to_datetime(digits, format=formats[len(digits)], errors="coerce", utc=True)
    return int(UNKNOWN) if pd.isna(found) else int(found.as_unit("ns").value)


def _dates(texts: "np.ndarray[Any, Any]") -> tuple[Int64, str]:
    """Parse text dates; of 03/04/2024 other values must tell which is the day."""
    found = [_DAY_MONTH.fullmatch(each) for each in texts]
    ordered = [each for each in found if each is not None]
    if ordered:
        first = max(int(each[1]) for each in ordered)
        second = max(int(each[2]) for each in ordered)
        if first <= 12 and second <= 12:
            return np.empty(0, np.int64), (
                f"of dates such as {ordered[0][0]!r} nothing tells the day from the month"
            )
        day, month = (1, 2) if first > 12 else (2, 1)

        def iso(each: "re.Match[str] | None", text: str) -> str:
            if each is None:
                return text
            year = each[3] if len(each[3]) == 4 else f"20{each[3]}"
            return f"{year}-{int(each[month]):02}-{int(each[day]):02}{each[4]}"

        texts = np.array([iso(each, text) for each, text in zip(found, texts, strict=True)], object)
    texts = np.array([_plain(each) for each in texts], object)
    made = _parsed(pd.Series(texts, dtype=object))
    zoned = [str(text) for text in texts[made == UNKNOWN] if _ZONE.search(text)]
    if zoned:
        return made, (
            f"times such as {zoned[0]!r} name a time zone by letters, which tell no offset; write"
            " +01:00, say, or UTC"
        )
    return made, ""


def _parsed(texts: "pd.Series[Any]") -> Int64:
    """Parse text of ISO 8601, and what is none of it each alone."""
    parse: Callable[..., Any] = pd.to_datetime
    made = parse(texts, utc=True, errors="coerce", format="ISO8601")
    other = made.isna()
    if other.any():
        found = parse(texts[other], utc=True, errors="coerce", format="mixed")
        # A text without a date would be given today's.
        kept = [_has_year(*each) for each in zip(texts[other], found, strict=True)]
        made[other] = found.where(kept)
    times = np.full(len(texts), UNKNOWN, np.int64)
    known = made.notna().to_numpy(np.bool_)
    times[known] = made[made.notna()].dt.as_unit("ns").astype("int64").to_numpy(np.int64)
    return times


def _has_year(text: str, made: Any) -> bool:
    """Whether a text names the year that was read, in its own time zone."""
    if pd.isna(made):
        return False
    named = [int(each) for each in _YEAR.findall(text)]
    years = {made.year - 1, made.year, made.year + 1}
    if len(named) > 1:  # a single two digits are a day
        years |= {year % 100 for year in years}
    return not years.isdisjoint(named)


def _plain(text: str) -> str:
    """Return a date with dashes, and without the words that some exports add."""
    text = _DASHES.sub(r"\1 \2:\3:\4", text)
    text = re.sub(r"^(\d{4})[./](\d{1,2})[./](\d{1,2})", r"\1-\2-\3", text)
    text = re.sub(r"\s*(?:GMT|UTC)\s*([+-]\d{4})?$", r" \1", text).strip()
    # CryptoDataDownload's older files: "2018-01-01 01-PM".
    return re.sub(r"\s(\d{2})-(AM|PM)$", r" \1:00 \2", text)
