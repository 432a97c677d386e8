"""Numbers as files write them: decimal commas, thousands separators, currency signs."""

import re
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from flows.numeric.arrays import Float64

Strings = npt.NDArray[np.object_]

_SIGNS = str.maketrans("", "", " \u00a0\u202f'’$€£¥₿\"")  # noqa: RUF001
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_ABBREVIATED = re.compile(r"([+-]?[\d.,]+)([KMB])", re.IGNORECASE)
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9}
NULLS = frozenset({"", "nan", "null", "none", "na", "n/a", "-", "--", "nil", "#n/a"})


class Decimal(StrEnum):
    """Sign between a number's whole part and its fraction."""

    POINT = "."
    COMMA = ","


def plain_floats(values: "pd.Series[str]") -> Float64 | None:
    """Return float64 of numbers that are all written plainly, NaN for nulls; else None."""
    try:
        made = pa.array(values, from_pandas=True).cast(pa.float64())
    except pa.ArrowException:
        return None
    return np.array(made.to_numpy(zero_copy_only=False), np.float64)


def clean(values: "pd.Series[str]") -> Strings:
    """Return strings without blanks and currency signs; those that mean nothing are empty."""
    found = [str(value).translate(_SIGNS) for value in values.fillna("")]
    return np.array(["" if each.lower() in NULLS else each for each in found], object)


def find_decimal(values: Strings, *, comma_separated: bool) -> Decimal | None:
    """Return the decimal sign of some numbers; None where they do not tell.

    Parameters
    ----------
    comma_separated
        Whether commas separate the columns of the file, so that a comma in a number was quoted.
    """
    ambiguous = False
    for value in values:
        if "," not in value:
            continue
        if "." in value:
            return Decimal.POINT if value.rindex(".") > value.rindex(",") else Decimal.COMMA
        if not _THOUSANDS.fullmatch(value):
            return Decimal.COMMA
        if value.count(",") > 1 or comma_separated:
            return Decimal.POINT
        ambiguous = True
    return None if ambiguous else Decimal.POINT


def to_floats(values: Strings, decimal: Decimal) -> tuple[Float64, int | None]:
    """Return float64, NaN for empty strings, and the first row that is no number.

    Abbreviations (``1.5K``, ``2M``) are written out.
    """
    thousands = "," if decimal is Decimal.POINT else "."
    plain = [value.replace(thousands, "").replace(",", ".") for value in values]
    made = pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce").to_numpy(np.float64)
    made = np.array(made)
    unread = np.flatnonzero(np.isnan(made) & (values != ""))
    for row in unread:
        found = _ABBREVIATED.fullmatch(plain[row])
        try:
            number = float(found[1]) * _SCALE[found[2].upper()] if found else float("nan")
        except ValueError:
            number = float("nan")
        if np.isnan(number):
            return made, int(row)
        made[row] = number
    return made, None
