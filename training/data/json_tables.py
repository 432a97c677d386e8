"""Tables out of JSON, as venues' REST gives candles: rows as arrays or objects, or columns.

The rows may lie inside an object, such as ``{"candles": [...]}``, or on a line each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pandas as pd

from flows.errors import TrainingError

LEAST_COLUMNS = 5
"""A time and four prices."""

_DEEPEST = 4

Rows = Sequence[Any]


def is_json(text: str) -> bool:
    """Whether a file's text begins as JSON does."""
    return text.lstrip("\ufeff \t\r\n").startswith(("[", "{"))


def json_frame(name: str, text: str) -> tuple[pd.DataFrame, bool]:
    """Return the rows of a JSON text, each value as text, and whether the columns have names.

    Parameters
    ----------
    name
        Of the file, for messages.

    Raises
    ------
    TrainingError
        It is no JSON, or holds no rows or several lists of them.
    """
    found = dict(_tables("", _decoded(name, text), 0))
    if len(found) != 1:
        holds = f"several lists of rows: {', '.join(found)}" if found else "no list of rows"
        message = (
            f"{name} is JSON with {holds}; bars are read from one list of arrays or objects, each"
            " with a time and four prices"
        )
        raise TrainingError(message)
    [rows] = found.values()
    if isinstance(rows, Mapping):
        rows = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    for number, row in enumerate(rows, 1):
        if type(row) is not type(rows[0]) or (isinstance(row, list) and len(row) != len(rows[0])):
            message = f"{name}, row {number}: it is not made as the first row"
            raise TrainingError(message)
    if isinstance(rows[0], list):
        return pd.DataFrame([[_text(cell) for cell in row] for row in rows], dtype=object), False
    names = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_text(row.get(key)) for key in names] for row in rows]
    return pd.DataFrame(cells, columns=names, dtype=object), True


def _decoded(name: str, text: str) -> Any:
    plain = text.lstrip("\ufeff")
    try:
        return msgspec.json.decode(plain)
    except RecursionError:
        message = f"{name} is JSON that is nested too deeply to hold bars"
        raise TrainingError(message) from None
    except msgspec.DecodeError as error:
        try:
            return [msgspec.json.decode(line) for line in plain.splitlines() if line.strip()]
        except (msgspec.DecodeError, RecursionError):
            message = f"{name} begins as JSON and is none, or is cut: {error}"
            raise TrainingError(message) from None


def _tables(place: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what can be a table, each with its place: lists of rows, or columns by name."""
    if isinstance(value, list) and value:
        if _is_page(value[0]):
            value = [row for page in value if isinstance(page, list) for row in page]
        if _is_row(value[0]) or isinstance(value[0], dict):
            yield place or "the whole", value
    elif isinstance(value, dict) and depth < _DEEPEST:
        columns = {key: each for key, each in value.items() if _is_column(each)}
        if len(columns) >= LEAST_COLUMNS and len({len(each) for each in columns.values()}) == 1:
            yield place or "the whole", columns
            return
        for key, each in value.items():
            yield from _tables(f"{place}.{key}" if place else key, each, depth + 1)


def _is_page(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)


def _is_row(value: Any) -> bool:
    return _is_column(value) and len(value) >= LEAST_COLUMNS


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not isinstance(value[0], list | dict)


def _text(value: Any) -> str | None:
    """Return a cell as text files have it; None for null, and for what is no single value."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    return str(value) if value != "" else None
