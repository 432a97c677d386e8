"""A file that holds no bars is named, with row and column where one is at fault."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import TrainingError
from tests.support.bar_files import (
    UTC,
    csv,
    rows,
    with_times,
)
from training.data.bar_files import read_bars


def broken(**cells: object) -> str:
    frame = rows().astype(object)
    for column, value in cells.items():
        frame.loc[3, column] = value
    return csv(frame)


REFUSED = {
    "a word": (broken(high="high"), r"a\.csv, line 5: high is 'high', not a number"),
    "a negative price": (broken(low=-1), r"line 5: low is '-1', not a positive"),
    "zero": (broken(close=0), r"line 5: close is '0', not a positive"),
    "one price missing": (broken(close=None), r"line 5: close is nan, missing"),
    "high below low": (broken(high=1.0), r"line 5: high is '1\.0', below the low of its row"),
    "a close above the high": (
        broken(close=1e6),
        r"line 5: close is '1000000\.0', above the high of its row$",
    ),
    "a close below the low": (broken(close=1.0), r"line 5: close is '1\.0', below the low of its"),
    "an open above the high": (
        broken(open=1e6),
        r"line 5: open is '1000000\.0', above the high of",
    ),
    "an open below the low": (broken(open=1.0), r"line 5: open is '1\.0', below the low of its"),
    "a negative volume": (broken(volume=-2), r"line 5: volume is '-2', a negative volume"),
    "an endless volume": (broken(volume="inf"), r"line 5: volume is 'inf', not a finite volume"),
    "more digits than a time has": (broken(timestamp="9" * 19), r"line 5: timestamp is '9{19}'"),
    "a time zone by letters": (
        with_times([f"{each:%Y-%m-%d %H:%M} CET" for each in UTC]),
        r"'2025-01-01 00:00 CET' name a time zone by letters",
    ),
    "an interval that is none": (
        csv(rows().assign(interval_s="soon")),
        r"line 2: interval_s is 'soon', not a number",
    ),
    "JSON without a bottom": ("[" * 100_000, "nested too deeply"),
    "no time": (broken(timestamp="yesterday"), r"line 5: timestamp is 'yesterday', not a time"),
    "an impossible time": (broken(timestamp=7), r"line 5: timestamp is '7', not a time between"),
    "a missing time": (broken(timestamp=None), r"line 5: timestamp is nan, not a time"),
    "no close": (csv(rows().drop(columns="close")), r"missing close; it has timestamp, open"),
    "no time column": (csv(rows().drop(columns="timestamp")), r"missing a time"),
    "a row too long": (csv(rows()) + "1,2,3,4,5,6,7,8\n", r"as a table: .*line 8"),
    "times cut by Excel": (
        with_times(["1.73569E+12"] * 6),
        "scientific notation have lost the digits",
    ),
    "day or month": (
        with_times([f"{each:%d/%m/%Y %H:%M}" for each in UTC]),
        r"'01/01/2025 00:00' nothing tells the day from the month",
    ),
    "comma of two meanings": (
        "time;open;high;low;close\n1735689600;1,000;1,000;1,000;1,000\n",
        "nothing tells whether the comma",
    ),
    "no header and no prices": ("1,2\n3,4\n", "has no header, and its 2 columns are not those"),
    "more cells than names": (
        "time,open,high,low,close\n" + "1735689600,1,1,1,1,5\n" * 3,
        r"a\.csv: its rows have more cells than its header names, 5",
    ),
    "nothing": ("\n\n", "is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_named_with_row_and_column(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(TrainingError, match=message):
        read_bars([tmp_path / "a.csv"])


def test_prices_of_a_row_may_be_rounded_each_on_its_own(tmp_path: Path) -> None:
    frame = rows().astype(object)
    frame.loc[3, "close"] = frame.loc[3, "high"] * (1 + 1e-7)
    frame.loc[4, "open"] = frame.loc[4, "low"] * (1 - 1e-7)
    (tmp_path / "a.csv").write_text(csv(frame))
    (bars,) = read_bars([tmp_path / "a.csv"])
    assert len(bars) == len(frame)


def test_files_that_are_no_bars_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such file or folder"):
        read_bars([tmp_path / "nowhere.csv"])
    with pytest.raises(TrainingError, match="holds no bars: no file"):
        read_bars([tmp_path])
    for name, content, message in (
        ("a.zip", b"PK\x03\x04 cut", "damaged or cut short"),
        ("a.parquet", b"PAR1 cut", "as Parquet"),
        ("a.csv.gz", b"\x1f\x8b", "nothing can be unpacked"),
        ("a.csv", b"\x00\x01\x02\x03" * 9, "binary"),
        ("a.csv", b"", "the file is empty"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(TrainingError, match=message):
            read_bars([path])
        path.unlink()


def test_two_columns_of_one_name_are_named(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(rows(), preserve_index=False)
    pq.write_table(table.append_column("close", table.column("close")), tmp_path / "a.parquet")
    with pytest.raises(
        TrainingError, match=r"a\.parquet has more than one column close; leave one"
    ):
        read_bars([tmp_path / "a.parquet"])


@pytest.mark.parametrize("second", ["close", " close ", "Close"])
def test_two_columns_of_one_name_in_text_are_named(second: str, tmp_path: Path) -> None:
    frame = rows()
    head, *body = csv(frame.assign(second=frame["close"] * 1.01)).splitlines()
    lines = [head.replace("second", second), *body]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(TrainingError, match=r"a\.csv has more than one column close; leave one"):
        read_bars([tmp_path / "a.csv"])


def test_two_equal_columns_and_columns_that_are_not_read_may_have_one_name(tmp_path: Path) -> None:
    frame = rows()
    doubled = frame.assign(second=frame["close"], plot=1, more=2)
    text = csv(doubled).replace("second", "close").replace("more", "plot")
    (tmp_path / "a.csv").write_text(text)
    (bars,) = read_bars([tmp_path / "a.csv"])
    assert bars.close.tolist() == frame["close"].tolist()
