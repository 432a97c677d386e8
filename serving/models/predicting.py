"""Feature rows from a request body; every value is checked against the contract."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from flows.numeric.arrays import Float32
from schemas.features import FEATURES
from serving.http.problems import ApiError

MAX_ROWS = 10_000
MAX_BODY_BYTES = 16 << 20
MAX_PROBLEMS = 20

_FEATURE_BY_NAME: Mapping[str, Any] = {feature.name: feature for feature in FEATURES}
FLOAT32_MAX = float(np.finfo(np.float32).max)


def parse_rows(body: bytes) -> Float32:
    """Turn ``{"rows": [{feature: value}]}`` into a matrix in the contract's order.

    Parameters
    ----------
    body
        The request's body, JSON.

    Returns
    -------
    ndarray
        float32, shape (n, len(FEATURES)), NaN where a value is null.

    Raises
    ------
    ApiError
        400 where the body is not JSON; 422, naming row and feature, where a feature is missing,
        unknown, twice there, not a number, infinite, out of its range, or null though it is never
        undefined.
    """
    try:
        document = json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "not_json", f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or set(document) != {"rows"}:
        raise ApiError(422, "invalid_request", 'the body must be {"rows": [{feature: value}]}')
    rows = document["rows"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        raise ApiError(422, "invalid_request", f"rows must be a list of 1 to {MAX_ROWS} objects")
    problems: list[dict[str, Any]] = []
    values = np.full((len(rows), len(FEATURES)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        problems += _fill(values[number], row, number)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        first = problems[0]
        more = f" ({len(problems) - 1} more in detail)" if len(problems) > 1 else ""
        subject = f"row {first['row']}" + (f", {first['feature']}" if first["feature"] else "")
        message = f"{subject}: {first['problem']}{more}"
        raise ApiError(422, "invalid_features", message, problems[:MAX_PROBLEMS])
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(422, "invalid_request", f"{twice!r} is there twice")
    return found


def _fill(target: Float32, row: object, number: int) -> list[dict[str, Any]]:
    if not isinstance(row, dict):
        return [{"row": number, "feature": None, "problem": "not an object"}]
    problems = [
        {"row": number, "feature": name, "problem": "unknown feature"}
        for name in row
        if name not in _FEATURE_BY_NAME
    ]
    for column, feature in enumerate(FEATURES):
        if feature.name not in row:
            problem: str | None = "missing"
        else:
            value = row[feature.name]
            problem = _problem(feature, value)
            if problem is None and value is not None:
                target[column] = value
        if problem is not None:
            problems.append({"row": number, "feature": feature.name, "problem": problem})
    return problems


def _problem(feature: Any, value: object) -> str | None:
    if value is None:
        return None if feature.undefined else "null, though this feature is never undefined"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not a number"
    # Integers too long for a float compare fine, but cannot be converted.
    if not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        return "not finite" if isinstance(value, int) or not math.isnan(value) else "not a number"
    if not feature.low <= value <= feature.high:
        return f"outside [{feature.low:g}, {feature.high:g}] {feature.unit}"
    return None
