"""Parquet in memory: read as from a file, and nothing of Python's is left with Arrow's threads."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.connectors.parquet.reading import DAMAGED_PARQUET, open_parquet, row_count
from flows.connectors.parquet.writer import parquet_of

TABLE = pa.table({"price": [1.5, None, 2.5], "symbol": ["a", "b", "c"]})


def content() -> bytes:
    made: bytes = parquet_of(TABLE).to_pybytes()
    return made


def test_what_was_written_is_read_and_counted() -> None:
    assert open_parquet(content()).read().equals(TABLE)
    assert open_parquet(content()).read(["symbol"]).column_names == ["symbol"]
    assert row_count(content()) == 3


@pytest.mark.parametrize("torn", [b"", b"PAR1", content()[:-5]], ids=["empty", "head", "cut"])
def test_what_is_no_parquet_is_refused(torn: bytes) -> None:
    with pytest.raises(pa.ArrowException):
        open_parquet(torn)
    with pytest.raises(pa.ArrowException):
        row_count(torn)


def test_arrow_keeps_no_python_object_that_a_thread_could_release_at_exit() -> None:
    # A reference from Arrow may be dropped by a thread of its pool after the interpreter has ended:
    # the process then aborts instead of returning its exit code.
    given = content()
    before = sys.getrefcount(given)
    opened = open_parquet(given)
    table = opened.read()
    assert sys.getrefcount(given) == before
    assert len(table) == 3

    held = pq.ParquetFile(pa.BufferReader(given))  # what this guards against
    assert sys.getrefcount(given) > before
    assert held.metadata.num_rows == 3


def test_whatever_byte_is_damaged_the_error_is_one_that_readers_know() -> None:
    whole = content()
    refused = 0
    for at in range(len(whole)):
        for changed in (whole[at] ^ 0xFF, whole[at] ^ 0x80, 0xE9):
            damaged = whole[:at] + bytes([changed]) + whole[at + 1 :]
            try:
                open_parquet(damaged).read()
            except DAMAGED_PARQUET:
                refused += 1
    assert refused > len(whole)


def test_a_damaged_name_of_a_column_is_damage() -> None:
    damaged = content().replace(b"symbol", b"\xe9ymbol")
    with pytest.raises(DAMAGED_PARQUET):
        open_parquet(damaged).read()
