"""Merging files changes no row of an archive, wherever it is cut off, whoever writes meanwhile."""

import random
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from flows.connectors.parquet import merging
from flows.connectors.parquet.catalog import archived_files, replaced_files, unreadable_files
from flows.connectors.parquet.merging import Merged, merge_topic
from flows.connectors.parquet.storage import LocalStorage, Storage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.errors import ArchiveError
from schemas import topics
from schemas.ticks import Tick
from tests.support.archive import rows_of
from tests.support.archives import raw_batch

DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS
TOPIC = topics.TICKS_RAW
LATER = "9999-12-31"


def tick(number: int) -> Tick | bytes:
    if number % 17 == 3:
        return b"no tick"
    return Tick(
        symbol=("BTC-USD", "BTC/USDT")[number % 2],
        venue="test",
        ts_event_ns=START_NS + number * DAY_NS // 150,
        price=100.0 + number,
        trade_id=number or None,
    )


def write(storage: Storage, count: int, run: int, log: str = "log", first: int = 0) -> int:
    """Archive messages in runs of some length by a new writer; return where it ends."""
    writer = ArchiveWriter(storage, TOPIC, 2, Beginning(first, log))
    writer.take_over()
    end = writer.floor + count
    while writer.floor < end:
        at = writer.floor
        writer.write(raw_batch([tick(n) for n in range(at, min(at + run, end))], at, 2))
        writer.commit()
    writer.close()
    return end


def test_files_with_enough_rows_together_become_one_and_the_rest_waits_for_the_days_end(
    reopen: Callable[[], Storage],
) -> None:
    storage = reopen()
    write(storage, 300, 10)
    before = rows_of(storage, TOPIC)
    assert len(before) == 300
    first = merge_topic(storage, TOPIC, rows=30)
    assert first.rows > 0
    assert first.removed == 0
    assert rows_of(reopen(), TOPIC) == before
    counts = {file.path: file.run.rows for file in archived_files(storage, TOPIC)}
    assert all(rows >= 30 for rows in counts.values() if rows is not None)
    assert sum(rows is None for rows in counts.values()) > 0  # ends of days
    second = merge_topic(storage, TOPIC, rows=30, settled_before=LATER)
    assert second.removed == first.files
    assert rows_of(storage, TOPIC) == before
    third = merge_topic(storage, TOPIC, rows=30, settled_before=LATER)
    assert (third.files, third.removed) == (0, second.files)
    assert replaced_files(storage, TOPIC) == []
    kept = {path for path, _size in storage.files("topic=")}
    assert kept == {file.path for file in archived_files(storage, TOPIC)}
    assert rows_of(storage, TOPIC) == before


def test_a_merged_archive_goes_on_and_is_merged_again(tmp_path) -> None:
    storage = LocalStorage(tmp_path)
    for round_ in range(6):
        write(storage, 40, 7)
        merge_topic(storage, TOPIC, rows=1_000, settled_before=LATER)
        rows = rows_of(storage, TOPIC)
        assert [row["log_offset"] for row in rows] == [*range(40 * (round_ + 1))]
    files = archived_files(storage, TOPIC)
    folders = {file.path.rpartition("/")[0] for file in files}
    assert len(files) == len(folders)
    assert [file.run.since for file in files if file.date == "2024-10-04"] == [1, 1]
    assert unreadable_files(storage, TOPIC)


def test_files_of_a_topic_that_was_made_anew_are_not_mixed_with_the_old_ones(tmp_path) -> None:
    storage = LocalStorage(tmp_path)
    write(storage, 60, 20, "old")
    write(storage, 50, 5, "new")
    before = rows_of(storage, TOPIC)
    assert len(before) == 110
    for _ in range(2):
        merge_topic(storage, TOPIC, rows=1_000, settled_before=LATER)
        assert rows_of(storage, TOPIC) == before
    assert {file.log_id for file in archived_files(storage, TOPIC)} == {"old", "new"}


class CutOffError(BaseException):
    """Stands for a SIGKILL."""


class Cut:
    """A storage that ends after so many writes."""

    def __init__(self, storage: Storage, writes: int) -> None:
        self._storage = storage
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, path: str, content: bytes | memoryview) -> None:
        self._storage.put(path, content)
        self._count()

    def delete(self, path: str) -> None:
        self._storage.delete(path)
        self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise CutOffError


def test_a_call_that_is_killed_anywhere_changes_no_row_and_the_next_one_ends_its_work(
    tmp_path,
) -> None:
    storage = LocalStorage(tmp_path)
    write(storage, 90, 10)
    merge_topic(storage, TOPIC, rows=12)
    write(storage, 60, 10)
    before = rows_of(storage, TOPIC)
    cuts = 0
    for writes in range(1, 200):
        try:
            merge_topic(Cut(storage, writes), TOPIC, rows=50, settled_before=LATER)
        except CutOffError:
            cuts += 1
            assert rows_of(storage, TOPIC) == before
        else:
            break
    assert cuts > 3
    merge_topic(storage, TOPIC, rows=50, settled_before=LATER)
    assert rows_of(storage, TOPIC) == before
    assert replaced_files(storage, TOPIC) == []


class Interleaved(Cut):
    """A storage beside which something else happens at a write."""

    def __init__(self, storage: Storage, writes: int, meanwhile: Callable[[], object]) -> None:
        super().__init__(storage, writes)
        self._meanwhile = meanwhile

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._meanwhile()


@pytest.mark.parametrize("seed", range(20))
def test_a_writer_and_a_second_call_beside_it_change_no_row(tmp_path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable by seed
    storage = LocalStorage(tmp_path)
    written = write(storage, rng.randint(1, 200), rng.randint(3, 20))

    def meanwhile() -> None:
        nonlocal written
        written = write(storage, rng.randint(1, 60), 9)
        merge_topic(storage, TOPIC, rows=25, settled_before=rng.choice(("", LATER)))

    for _ in range(3):
        beside = Interleaved(storage, rng.randint(1, 12), meanwhile)
        with suppress(ArchiveError):  # the other call has removed what this one was to merge
            merge_topic(beside, TOPIC, rows=25, settled_before=rng.choice(("", LATER)))
        rows = rows_of(storage, TOPIC)
        assert [row["log_offset"] for row in rows] == [*range(written)]


def test_files_that_share_messages_are_refused_and_not_counted_twice(tmp_path) -> None:
    storage = LocalStorage(tmp_path)
    write(storage, 60, 6)
    files = [file for file in archived_files(storage, TOPIC) if file.symbol == "BTC-USD"][:5]
    merging._merge(storage, files[:3])
    merging._merge(storage, files[2:])
    with pytest.raises(ArchiveError, match="hold the same messages"):
        archived_files(storage, TOPIC)


def test_a_topic_without_files_has_nothing_to_merge(tmp_path) -> None:
    assert merge_topic(LocalStorage(tmp_path), TOPIC) == Merged(TOPIC)


def test_a_file_whose_bytes_have_changed_is_named_and_nothing_is_merged(tmp_path) -> None:
    storage = LocalStorage(tmp_path)
    write(storage, 60, 20)
    file = archived_files(storage, TOPIC)[0]
    path = tmp_path / file.path
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:200]) + whole[200:])
    before = sorted(tmp_path.rglob("*.parquet"))
    with pytest.raises(ArchiveError, match=f"{re.escape(path.name)} of the archive is damaged"):
        merge_topic(storage, TOPIC, rows=10_000, settled_before=LATER)
    assert sorted(tmp_path.rglob("*.parquet")) == before
