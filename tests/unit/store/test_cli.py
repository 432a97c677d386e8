"""The command: tables for people, JSON for programs, one SELECT that reads the archive alone."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from flows.errors import VoltickError
from flows.store import load_ticks
from flows.store.cli import app
from schemas import topics
from tests.support.archives import archive
from tests.unit.store import market


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> None:
    app([str(each) for each in arguments], standalone_mode=False)


def query(folder: Path, sql: str, *more: str | Path) -> None:
    run("query", sql, "--archive", folder, *more)


def refusal(folder: Path, sql: str, *more: str | Path) -> str:
    with pytest.raises(VoltickError) as caught:
        query(folder, sql, *more)
    told = str(caught.value)
    assert "\n" not in told
    return told


def listing(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    run("--archive", folder, "--json")
    found: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)
    return found


def test_the_listing_counts_what_is_new_since_the_last_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = [market.tick(number, "BTC-USD") for number in range(20)]
    archive(tmp_path / "a", topics.TICKS_RAW, ticks[:5])
    assert listing(tmp_path / "a", capsys)["tables"][0]["new_rows"] == 5
    archive(tmp_path / "a", topics.TICKS_RAW, ticks[5:])
    found = listing(tmp_path / "a", capsys)
    assert (found["tables"][0]["rows"], found["tables"][0]["new_rows"]) == (20, 15)
    assert listing(tmp_path / "a", capsys)["tables"][0]["new_rows"] == 0
    assert found["foreign"] == []


def test_the_listing_for_people_names_every_table_and_market(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--archive", folder)
    out = capsys.readouterr().out
    for name in ("ticks_raw", "ticks_features", "bars", "BTC-USD", "A/B %", "2024-10-04T00:00:00"):
        assert name in out


def test_rows_come_as_csv_json_and_parquet_alike(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT symbol, trade_id, size, gap FROM ticks_raw ORDER BY log_partition, log_offset"
    expected = load_ticks(folder, columns=["symbol", "trade_id", "size", "gap"]).to_pylist()
    query(folder, sql, "--format", "json")
    assert msgspec.json.decode(capsys.readouterr().out) == expected
    query(folder, sql, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["trade_id"] for row in rows] == [
        "" if row["trade_id"] is None else str(row["trade_id"]) for row in expected
    ]
    assert [row["gap"] for row in rows] == [str(row["gap"]).lower() for row in expected]
    query(folder, sql, "--out", tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_table_says_how_much_it_does_not_show(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(folder, "SELECT symbol, ts FROM ticks_raw", "--rows", "2")
    out = capsys.readouterr().out
    assert "2 of 600 rows" in out
    assert "2024-10-04 00:00:00.000000001" in out


def test_no_row_is_an_empty_array(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(folder, "SELECT * FROM bars", "--format", "json")
    assert msgspec.json.decode(capsys.readouterr().out) == []


def test_what_json_cannot_say_is_null(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(folder, "SELECT 'nan'::DOUBLE AS a, 1::DECIMAL(9, 2) AS b", "--format", "json")
    assert msgspec.json.decode(capsys.readouterr().out) == [{"a": None, "b": "1.00"}]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("COPY ticks_raw TO 'x.csv'", "only read"),
        ("CREATE TABLE x (a INT)", "only read"),
        ("DROP VIEW ticks_raw", "only read"),
        ("ATTACH 'x.db'", "only read"),
        ("INSTALL httpfs", "only read"),
        ("SET enable_external_access = true", "only read"),
        ("SELECT 1; DROP VIEW ticks_raw", "one query, not 2"),
        ("", "one query, not 0"),
        ("SELECT * FROM read_csv('secret.csv')", "disabled"),
        ("SELECT * FROM 'secret.csv'", "disabled"),
        ("SELECT * FROM read_parquet('other.parquet')", "disabled"),
        ("SELECT * FROM read_text('*')", "disabled"),
        ("SELECT * FROM glob('*')", "disabled"),
        ("SELECT * FROM folder", "does not exist"),
        ("SELECT nothing FROM ticks_raw", "nothing"),
        ("SELEC", "syntax error"),
        ("SELECT 'x'::INT", "Could not convert"),
    ],
    ids=lambda value: str(value).replace("'", "").replace("/", "")[:30],
)
def test_nothing_but_a_select_over_the_archive_is_run(
    folder: Path, tmp_path: Path, sql: str, told: str
) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    pq.write_table(load_ticks(folder), tmp_path / "other.parquet")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert told in refusal(folder, sql)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_unwritable_file_and_an_unknown_format_are_named(folder: Path, tmp_path: Path) -> None:
    assert "cannot write" in refusal(folder, "SELECT 1", "--out", tmp_path / "no" / "x.csv")
    assert "--format" in refusal(folder, "SELECT 1", "--out", tmp_path / "x.xlsx")
    assert "--out" in refusal(folder, "SELECT 1", "--format", "parquet")


def test_a_report_of_some_symbols_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.pdf"
    run("report", "--archive", folder, "--symbols", "BTC-USD, x", "--out", out, "--no-images")
    assert [path.name for path in tmp_path.iterdir()] == ["r.pdf"]
    assert "2 markets in" in capsys.readouterr().err


def test_without_the_option_the_setting_names_the_archive(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOLTICK_ARCHIVE", str(folder))
    run("--json")
    assert '"rows":600' in capsys.readouterr().out


def test_an_archive_that_cannot_be_written_is_listed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(tmp_path / "a", topics.TICKS_RAW, [market.tick(1, "BTC-USD")])
    (tmp_path / "a" / "store").write_text("in the way")
    run("--archive", tmp_path / "a", "--json")
    assert '"rows":1' in capsys.readouterr().out


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "table"])
def test_a_device_is_written_to_and_not_replaced(folder: Path, tmp_path: Path, form: str) -> None:
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    query(folder, "SELECT 1 AS one", "--out", link, "--format", form)
    assert link.is_symlink()
    assert Path(os.devnull).is_char_device()
