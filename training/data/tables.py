"""Tables out of files: text of any usual dialect, JSON, Parquet; each row knows its place."""

import csv
import io
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import structlog

from flows.connectors.parquet.reading import DAMAGED_PARQUET, open_parquet
from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float64, Int64
from training.data import numbers, times
from training.data.files import DataFile, check_columns, read_bytes
from training.data.json_tables import is_json, json_frame

_SEPARATORS = (",", ";", "\t", "|")
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one file as they are written.

    Attributes
    ----------
    frame
        Text columns of a text file, typed columns of Parquet; column names as they are written.
    lines
        int64, shape (n,): line of each row in a text file, row in JSON and Parquet, from 1 on.
    separator
        What separates the columns of a text file; empty for JSON and Parquet.
    has_header
        False where the columns have no names, only numbers.
    unit
        What ``lines`` counts.
    heads
        Names of the columns as the file has them, also where two are alike; empty: the frame's.
    """

    file: DataFile
    frame: pd.DataFrame
    lines: Int64
    separator: str = ""
    has_header: bool = True
    unit: Literal["line", "row"] = "line"
    heads: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, row: int) -> str:
        """Return a row's place, for messages."""
        return f"{self.file.name}, {self.unit} {self.lines[row]}"

    def error(self, row: int, column: str, problem: str) -> TrainingError:
        """Return an error that names the row, the column and what is wrong with the value."""
        value = self.frame[column].iloc[row] if column in self.frame.columns else None
        return TrainingError(f"{self.at(row)}: {column} is {value!r}, {problem}")


def read_table(file: DataFile) -> Table:
    """Read a file.

    Raises
    ------
    TrainingError
        It is no table: damaged, truncated, binary, or a row has too many columns.
    """
    return _read_parquet(file) if file.is_parquet else _read_text(file)


def _read_parquet(file: DataFile) -> Table:
    try:
        table = open_parquet(read_bytes(file)).read()
    except DAMAGED_PARQUET as error:
        msg = f"cannot read {file.path} as Parquet: {error}"
        raise TrainingError(msg) from None
    check_columns(file, table.column_names)
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    market = _single_market(file, frame)
    # pandas writes its index as a column: often the times, as a range where they are equidistant.
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is not None:
        frame = frame.reset_index()
    if market is not None:
        frame["Ticker"] = market
    return _counted(file, frame)


def _single_market(file: DataFile, frame: pd.DataFrame) -> str | None:
    """Name columns by their kind of price alone, as yfinance gives them beside the market.

    Returns
    -------
    The market; None where columns have plain names.

    Raises
    ------
    TrainingError
        The columns are of several markets.
    """
    if not isinstance(frame.columns, pd.MultiIndex):
        return None
    pairs = [tuple(map(str, each)) for each in frame.columns]
    kinds = next((at for at in (0, 1) if any(each[at].lower() == "close" for each in pairs)), 0)
    markets = sorted({each[1 - kinds] for each in pairs})
    if len(markets) != 1:
        raise _side_by_side(file, markets)
    frame.columns = pd.Index([each[kinds] for each in pairs])
    return markets[0]


def _side_by_side(file: DataFile, markets: list[str]) -> TrainingError:
    msg = f"{file.name} holds markets side by side ({', '.join(markets)}); write a file for each"
    return TrainingError(msg)


def _distinct(names: list[str]) -> list[str]:
    """Return names of which no two are alike: a repeated one gets its place behind it."""
    return [name if name not in names[:at] else f"{name}.{at}" for at, name in enumerate(names)]


def _counted(file: DataFile, frame: pd.DataFrame, *, has_header: bool = True) -> Table:
    rows = np.arange(1, len(frame) + 1, dtype=np.int64)
    return Table(file, frame, rows, has_header=has_header, unit="row")


def _read_text(file: DataFile) -> Table:
    raw = _without_blank_end(file, read_bytes(file))
    encoding = next((name for mark, name in _ENCODINGS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if "\0" in text[:4096]:
        msg = f"cannot read {file.name} as text: it is a binary file"
        raise TrainingError(msg)
    if is_json(text):
        frame, has_header = json_frame(file.name, text)
        heads = tuple(str(name).strip() for name in frame.columns)
        frame.columns = pd.Index(_distinct(list(heads)))
        return replace(_counted(file, frame, has_header=has_header), heads=heads)
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if _is_row(line)), None)
    if first is None:
        msg = f"{file.name} is empty"
        raise TrainingError(msg)
    _refuse_pages(file, lines[first])
    separator = _separator(lines[first : first + 3])
    cells = next(csv.reader([lines[first]], delimiter=separator))
    has_header = not all(_is_value(cell) for cell in cells)
    ticker = None
    if cells[0].strip() == "Price":
        ticker, lines = _single_head(file, lines, first, separator)
    body = "\n".join(lines[first:]) + "\n"
    try:
        with warnings.catch_warnings():
            # Rows with more cells than the header has: of the last ones nothing would be left.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(body),
                sep=separator,
                header=0 if has_header else None,
                dtype=str,
                skip_blank_lines=False,
                keep_default_na=False,
                na_values=[""],
                index_col=False,
                skipinitialspace=True,
            )
    except pd.errors.ParserWarning:
        msg = f"{file.name}: its rows have more cells than its header names, {len(cells)}"
        raise TrainingError(msg) from None
    except (ValueError, pd.errors.ParserError) as error:
        msg = f"cannot read {file.name} as a table: {' '.join(str(error).split())}"
        raise TrainingError(msg) from None
    read = [str(name).strip() for name in frame.columns]
    # Of two columns of one name, pandas has renamed the second.
    heads = tuple(cell.strip() for cell in cells) if len(cells) == len(read) else tuple(read)
    frame.columns = pd.Index(_distinct(read))
    if ticker is not None:
        heads = ()
        frame["Ticker"] = pd.Series(ticker, frame.index).where(frame.notna().any(axis=1))
    start = first + 1 + has_header
    places = np.arange(start, start + len(frame), dtype=np.int64)
    filled = frame.notna().any(axis=1).to_numpy(np.bool_)
    if has_header:
        filled = filled & ~_repeated_heads(frame)
    frame = frame[filled].reset_index(drop=True)
    table = Table(file, frame, places[filled], separator, has_header, heads=heads)
    return _without_cut_row(table, text)


def _without_blank_end(file: DataFile, raw: bytes) -> bytes:
    """Return a file without the zeros that a crash of the writing machine leaves at its end."""
    if not raw.endswith(b"\0\0\0\0"):  # UTF-16 ends in one
        return raw
    structlog.get_logger().warning("zeros at the end of a file are left out", file=file.name)
    return raw.rstrip(b"\0")


def _repeated_heads(frame: pd.DataFrame) -> Bool:
    """Return which rows are the header again, as files put behind each other leave it."""
    names = [_plain(name) for name in frame.columns]
    found = frame.iloc[:, 0].fillna("").map(_plain) == names[0]
    for row in np.flatnonzero(found):
        cells = [_plain(cell) for cell in frame.iloc[int(row)].fillna("")]
        found.iloc[int(row)] = cells == names
    return found.to_numpy(np.bool_)


def _plain(cell: Any) -> str:
    return str(cell).strip("\ufeff ").lower()


def _refuse_pages(file: DataFile, line: str) -> None:
    if line.lstrip().lower().startswith(("<!doctype", "<html", "<?xml")):
        msg = f"{file.name} is a page of the web and no table; write the bars as CSV or Parquet"
        raise TrainingError(msg)


def _single_head(
    file: DataFile, lines: list[str], first: int, separator: str
) -> tuple[str | None, list[str]]:
    """Return the market of a table with three head lines, and the lines with one instead.

    yfinance writes the kinds of price, below them the market of each column, and then the name of
    the times. The two other lines stay as empty ones, so that rows keep their places.

    Raises
    ------
    TrainingError
        The columns are of several markets.
    """
    head = [next(csv.reader([line], delimiter=separator), []) for line in lines[first : first + 3]]
    if len(head) < 3 or not head[1] or not head[2] or head[1][0].strip() != "Ticker":
        return None, lines
    markets = sorted({each.strip() for each in head[1][1:]} - {""})
    if len(markets) != 1:
        raise _side_by_side(file, markets)
    one = separator.join([head[2][0].strip() or "Date", *head[0][1:]])
    return markets[0], [*lines[:first], one, "", "", *lines[first + 3 :]]


def _without_cut_row(table: Table, text: str) -> Table:
    """Leave out a last row that ends in the middle, as a killed download leaves it."""
    if text.endswith(("\n", "\r")) or len(table) < 2:
        return table
    counts = table.frame.notna().sum(axis=1).to_numpy(np.int64)
    if counts[-1] >= counts[:-1].min():
        return table
    structlog.get_logger().warning("the last row is cut and left out", row=table.at(len(table) - 1))
    return replace(table, frame=table.frame.iloc[:-1], lines=table.lines[:-1])


def _is_row(line: str) -> bool:
    """Whether a line belongs to the table: no blank, no comment, no address of the publisher."""
    plain = line.strip().lower()
    address = plain.startswith(("http://", "https://", "www."))
    return bool(plain) and not address and not plain.startswith(("#", "sep="))


def _separator(lines: list[str]) -> str:
    counts = {each: min(line.count(each) for line in lines) for each in _SEPARATORS}
    # A comma may be a decimal sign, any other separator is no part of a number.
    best = max(_SEPARATORS[1:], key=lambda each: counts[each])
    return best if counts[best] >= 3 else ","


def _is_value(cell: str) -> bool:
    plain = cell.strip()
    return not plain or (any(char.isdigit() for char in plain) and not plain[0].isalpha())


def floats(table: Table, column: str, decimal: numbers.Decimal) -> Float64:
    """Return a column as float64, NaN for nulls.

    Raises
    ------
    TrainingError
        A value is no number; it names the first one.
    """
    values = table.frame[column]
    if not _is_text(values):
        try:
            return np.array(values.astype("float64").to_numpy(np.float64, na_value=np.nan))
        except (ValueError, TypeError, pa.ArrowException) as error:
            msg = f"{table.file.name}: the column {column} holds no numbers: {error}"
            raise TrainingError(msg) from None
    plain = numbers.plain_floats(values) if decimal is numbers.Decimal.POINT else None
    if plain is not None:
        return plain
    made, bad = numbers.to_floats(numbers.clean(values), decimal)
    if bad is not None:
        raise table.error(bad, column, "not a number")
    return made


def decimal_sign(table: Table, columns: list[str]) -> numbers.Decimal:
    """Return the decimal sign of a file, found in some of its columns together.

    Raises
    ------
    TrainingError
        ``1,234`` alone may be either.
    """
    for column in columns:
        values = table.frame[column]
        if not _is_text(values) or numbers.plain_floats(values) is not None:
            continue
        found = numbers.find_decimal(numbers.clean(values), comma_separated=table.separator == ",")
        if found is None:
            continue
        if found is numbers.Decimal.COMMA or "," in "".join(map(str, values.dropna())):
            return found
    if any(_has_comma(table, column) for column in columns):
        msg = (
            f"{table.file.name}: nothing tells whether the comma in its numbers separates thousands"
            " or the fraction"
        )
        raise TrainingError(msg)
    return numbers.Decimal.POINT


def _has_comma(table: Table, column: str) -> bool:
    values = table.frame[column]
    return _is_text(values) and any("," in str(value) for value in values.dropna())


def _is_text(values: "pd.Series[Any]") -> bool:
    return bool(
        pd.api.types.is_string_dtype(values.dtype) or pd.api.types.is_object_dtype(values.dtype)
    )


def nanoseconds(table: Table, column: str, joined: "pd.Series[str] | None" = None) -> Int64:
    """Return a column of times as int64 nanoseconds since 1970.

    Parameters
    ----------
    joined
        Text of a date and a time column together, instead of the column's own values.

    Raises
    ------
    TrainingError
        A value cannot be read as a time, or lies before 1980 or after 2100; it names the first.
    """
    values = table.frame[column] if joined is None else joined
    if joined is None and not _is_text(values):
        made, problem = times.column_to_ns(pa.array(values, from_pandas=True))
    else:
        made, problem = times.text_to_ns(values)
    if problem:
        msg = f"{table.file.name}: the column {column} holds no times: {problem}"
        raise TrainingError(msg)
    bad = np.flatnonzero(~times.plausible(made))
    if len(bad):
        raise table.error(int(bad[0]), column, "not a time between 1980 and 2100")
    return made
