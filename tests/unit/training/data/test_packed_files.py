"""Packed files are read by what they are; of one that is cut, all that comes before the cut."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.errors import TrainingError
from tests.support.bar_files import csv, rows
from training.data.bar_files import read_bars

PLAIN = csv(rows(20_000)).encode()


def zstd(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return bytes(sink.getvalue())


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("a.csv.gz", gzip.compress),
    "bzip2": ("a.csv.bz2", lambda raw: bz2.compress(raw, 1)),
    "xz": ("a.csv.xz", lzma.compress),
    "zstd": ("a.csv.zst", zstd),
}
ODD = {
    "nothing packed, whatever the name says": ("a.csv.gz", bytes),
    "packed, whatever the name says": ("a.csv", gzip.compress),
    "packed twice": ("a.csv.gz", lambda raw: gzip.compress(gzip.compress(raw))),
    "two members": ("a.csv.bz2", lambda raw: bz2.compress(raw[:999]) + bz2.compress(raw[999:])),
}


@pytest.mark.parametrize("case", PACKED | ODD)
def test_what_packs_a_file_is_told_by_its_bytes(case: str, tmp_path: Path) -> None:
    name, pack = (PACKED | ODD)[case]
    (tmp_path / name).write_bytes(pack(csv(rows()).encode()))
    for source in (tmp_path / name, tmp_path):
        (bars,) = read_bars([source])
        np.testing.assert_array_equal(bars.close, rows()["close"])


@pytest.mark.parametrize("case", PACKED)
def test_a_cut_file_gives_what_comes_before_the_cut(case: str, tmp_path: Path) -> None:
    name, pack = PACKED[case]
    whole = pack(PLAIN)
    (tmp_path / name).write_bytes(whole[: len(whole) * 9 // 10])
    (bars,) = read_bars([tmp_path / name])
    assert 12_000 < len(bars) < 20_000
    np.testing.assert_array_equal(bars.close, rows(len(bars))["close"])


def test_zip_archives_are_read_as_binance_delivers_them(tmp_path: Path) -> None:
    for day, first in ((2, 3), (1, 0)):
        name = f"BTCUSDT-1m-2025-01-0{day}"
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.csv", csv(rows(3, first)))
            archive.writestr("__MACOSX/._x.csv", "nothing")
            archive.writestr("README.txt", "about this archive")
    (bars,) = read_bars([tmp_path])
    assert bars.name == "BTCUSDT"
    np.testing.assert_array_equal(bars.close, rows()["close"])


def test_what_lies_packed_in_a_zip_archive_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("BTCUSDT.csv.gz", gzip.compress(csv(rows()).encode()))
    (bars,) = read_bars([tmp_path / "a.zip"])
    np.testing.assert_array_equal(bars.close, rows()["close"])


def marked(archive: Path, local: int, central: int, value: int) -> None:
    """Change one byte of a member's two headers."""
    raw = bytearray(archive.read_bytes())
    raw[local] = value
    raw[raw.index(b"PK\x01\x02") + central] = value
    archive.write_bytes(bytes(raw))


@pytest.mark.parametrize(
    ("place", "message"),
    [((6, 8, 1), "encrypted"), ((8, 10, 99), "compression method is not supported")],
    ids=["a password", "an unknown method"],
)
def test_a_zip_archive_that_cannot_be_opened_is_named(
    place: tuple[int, int, int], message: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.csv", csv(rows()))
    marked(tmp_path / "a.zip", *place)
    with pytest.raises(TrainingError, match=message):
        read_bars([tmp_path / "a.zip"])


def test_a_zip_archive_without_tables_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.xlsx", "PK")
    with pytest.raises(TrainingError, match=r"a\.zip holds no bars: no file \.csv"):
        read_bars([tmp_path / "a.zip"])
