"""The archive holds each message once, wherever its writer was cut off."""

import os
from collections import Counter
from pathlib import Path
from uuid import uuid4

import msgspec
import pyarrow.parquet as pq
import pytest

from flows.codec.batch import RawBatch
from flows.codec.decode import MAX_BYTES
from flows.connectors.parquet import layout
from flows.connectors.parquet.catalog import archived_files, read_state, unreadable_files
from flows.connectors.parquet.layout import RunName
from flows.connectors.parquet.storage import Held, LocalStorage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.errors import ArchiveError, FencedError
from schemas import topics
from schemas.ticks import Tick

DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS
TOPIC = topics.TICKS_RAW
STEPS = 58
"""Calls to the operating system that write one run of six files."""


def tick(number: int, **changes: object) -> Tick:
    plain = {
        "symbol": ("BTC-USD", "BTC/USDT")[number % 2],
        "venue": "test",
        "ts_event_ns": START_NS + number * DAY_NS // 4,
        "price": 100.1 + number,
        "size": None if number % 3 else 0.1,
        "trade_id": number or None,
        "gap": number % 5 == 0,
    }
    return Tick(**{**plain, **changes})


def batch(first: int, end: int, payloads: dict[int, bytes] | None = None) -> RawBatch:
    values = [
        (payloads or {}).get(number, msgspec.json.encode(tick(number)))
        for number in range(first, end)
    ]
    return RawBatch(
        partition=2,
        values=values,
        offsets=list(range(first, end)),
        timestamps_ms=[1_000 + number for number in range(first, end)],
        next_offset=end,
    )


def open_writer(folder: Path) -> ArchiveWriter:
    storage = LocalStorage(folder)
    state = read_state(storage, TOPIC, 2)
    start = 0 if state is None else state.next_offset
    made = ArchiveWriter(storage, TOPIC, 2, Beginning(start, "log"))
    made.take_over()
    return made


def archived(folder: Path) -> list[tuple[int, Tick]]:
    """Return offset and tick of every row that counts, in offset order."""
    storage = LocalStorage(folder)
    found = []
    for file in archived_files(storage, TOPIC):
        assert file.log_id == "log"
        for row in pq.ParquetFile(storage.url(file.path)).read().to_pylist():
            offset = row.pop("log_offset")
            assert (row.pop("log_partition"), row.pop("log_ts_ms")) == (2, 1_000 + offset)
            assert row["symbol"] == file.symbol
            found.append((offset, msgspec.convert(row, Tick)))
    return sorted(found, key=lambda one: one[0])


def test_what_is_archived_is_what_was_written(tmp_path):
    one = open_writer(tmp_path)
    one.write(batch(0, 10))
    one.write(batch(10, 12))
    done = one.commit()
    one.close()
    assert (done.messages, done.next_offset, done.unreadable) == (12, 12, 0)
    assert archived(tmp_path) == [(number, tick(number)) for number in range(12)]
    folders = {file.parent.name for file in tmp_path.rglob("*.parquet")}
    assert folders == {"symbol=BTC-USD", "symbol=BTC%2FUSDT"}
    assert {file.parent.parent.name for file in tmp_path.rglob("*.parquet")} == {
        "date=2024-10-04",
        "date=2024-10-05",
        "date=2024-10-06",
    }


def test_what_is_no_message_is_kept_whole_elsewhere(tmp_path):
    one = open_writer(tmp_path)
    foreign = {1: b"\xff\xfe", 3: b"[" * 10_000, 4: b"", 5: b'{"symbol":1}'}
    one.write(batch(0, 8, foreign))
    assert one.commit().unreadable == 4
    one.close()
    assert [offset for offset, _ in archived(tmp_path)] == [0, 2, 6, 7]
    [file] = unreadable_files(LocalStorage(tmp_path), TOPIC)
    rows = pq.ParquetFile(tmp_path / file.path).read().to_pylist()
    assert {row["log_offset"]: row["payload"] for row in rows} == foreign


class CutOffError(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_a_writer_cut_off_at_any_step_loses_and_doubles_nothing(tmp_path, monkeypatch, step):
    first = open_writer(tmp_path)
    first.write(batch(0, 5))
    first.commit()
    first.write(batch(5, 14))
    left = [step]

    def counted(call):
        def wrapper(*args, **kwargs):
            if left[0] == 0:
                raise CutOffError
            left[0] -= 1
            return call(*args, **kwargs)

        return wrapper

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "open"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(os, "open", counted(os.open))
        try:
            first.commit()
            cut = False
        except CutOffError:
            cut = True
    first.close()
    seen = [offset for offset, _ in archived(tmp_path)]
    assert seen in (list(range(5)), list(range(14)))
    second = open_writer(tmp_path)
    assert second.floor == len(seen)
    # The rest comes in other batches than before.
    for begin in range(second.floor, 20, 4):
        second.write(batch(begin, min(begin + 4, 20)))
        second.commit()
    second.close()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(20)]
    assert not list(tmp_path.rglob("*.tmp"))
    assert cut == (step < STEPS)


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_first_run_of_an_archive_that_is_cut_off_does_not_count_beside_the_next(
    tmp_path, epochs
):
    class Cut(LocalStorage):
        """A storage whose process ends before a state is replaced."""

        def swap(self, path: str, content: bytes, version: str | None) -> str:
            if b'"end":0' not in content:
                raise CutOffError
            return super().swap(path, content, version)

    for _ in range(epochs):
        first = ArchiveWriter(Cut(tmp_path), TOPIC, 2, Beginning(0, "log"))
        first.take_over()
        first.write(batch(0, 5))
        with pytest.raises(CutOffError):
            first.commit()
        first.close()
    second = open_writer(tmp_path)
    second.write(batch(0, 9))
    second.commit()
    second.close()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(9)]


def test_what_epochs_wrote_that_are_forgotten_still_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.connectors.parquet.state.MOST_SPANS", 3)
    for first in range(0, 12, 2):
        one = open_writer(tmp_path)
        one.write(batch(first, first + 2))
        one.commit()
        one.close()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(12)]


class NoLock(LocalStorage):
    """A storage that cannot lock, as in a bucket."""

    def hold(self, path: str, what: str, *, shared: bool = False) -> Held:
        return super().hold(f"{path}.{uuid4().hex}", what, shared=shared)


@pytest.mark.parametrize("members", [False, True], ids=["bucket", "members"])
def test_an_owner_that_was_replaced_is_fenced_and_leaves_nothing(tmp_path, members):
    def opened(start: int) -> ArchiveWriter:
        begin = Beginning(start, "log")
        storage = LocalStorage(tmp_path) if members else NoLock(tmp_path)
        made = ArchiveWriter(storage, TOPIC, 2, begin, (lambda: begin) if members else None)
        made.take_over()
        return made

    first = opened(0)
    first.write(batch(0, 5))
    first.commit()
    first.write(batch(5, 9))
    second = opened(5)
    second.write(batch(5, 14))
    second.commit()
    with pytest.raises(FencedError, match="taken over"):
        first.commit()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(14)]
    assert {file.stem[:12] for file in tmp_path.rglob("*.parquet")} == {
        "00002-000001",
        "00002-000002",
    }
    assert not list(tmp_path.rglob("*.writing.*"))
    first.close()
    second.close()


def test_files_of_an_owner_that_was_replaced_never_count(tmp_path):
    first = open_writer(tmp_path)
    first.write(batch(0, 5))
    first.commit()
    first.close()
    open_writer(tmp_path).close()
    storage = LocalStorage(tmp_path)
    [*files] = archived_files(storage, TOPIC)
    late = str(RunName(2, 1, 5, 9))
    for file in files:
        content = storage.read(file.path)
        storage.put(f"{file.path.rpartition('/')[0]}/{late}", content)
    assert archived_files(storage, TOPIC) == files


def test_a_planned_start_that_is_behind_the_archive_doubles_nothing(tmp_path):
    first = open_writer(tmp_path)
    first.write(batch(0, 7))
    first.commit()
    first.close()
    second = ArchiveWriter(LocalStorage(tmp_path), TOPIC, 2, Beginning(3, "log"))
    second.take_over()
    second.write(batch(3, 6))
    assert not second.is_open
    second.write(batch(5, 9))
    assert second.rows == 2
    second.commit()
    second.close()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(9)]


def test_another_log_begins_anew_beside_the_earlier_one(tmp_path):
    first = open_writer(tmp_path)
    first.write(batch(0, 4))
    first.commit()
    first.close()
    second = ArchiveWriter(LocalStorage(tmp_path), TOPIC, 2, Beginning(0, "other"))
    second.take_over()
    second.write(batch(0, 4))
    second.commit()
    second.close()
    logs = Counter(file.log_id for file in archived_files(LocalStorage(tmp_path), TOPIC))
    assert logs == {"log": 2, "other": 2}


@pytest.mark.parametrize(
    "symbol",
    ["..", "/", "\0", "A" * 64, "\N{SNOWMAN}" * 64, "date=x"],
    ids=["dots", "slash", "zero", "long", "long-quoted", "equals"],
)
@pytest.mark.parametrize(
    "ts_ns", [-(2**63), -1, 0, 2**63 - 1], ids=["oldest", "before", "epoch", "last"]
)
def test_any_symbol_and_time_find_a_folder(tmp_path, symbol, ts_ns):
    one = open_writer(tmp_path)
    kept = tick(0, symbol=symbol, ts_event_ns=ts_ns)
    one.write(batch(0, 1, {0: msgspec.json.encode(kept)}))
    one.commit()
    one.close()
    [file] = archived_files(LocalStorage(tmp_path), TOPIC)
    [row] = pq.ParquetFile(tmp_path / file.path).read().to_pylist()
    assert (row["symbol"], row["ts_event_ns"]) == (symbol, ts_ns)
    assert file.symbol == symbol or "~" in file.symbol


def test_a_payload_that_the_pipeline_refuses_as_too_large_is_no_tick(tmp_path):
    one = open_writer(tmp_path)
    plain = msgspec.json.encode(tick(0))
    one.write(batch(0, 1, {0: plain[:-1] + b" " * MAX_BYTES + b"}"}))
    assert one.commit().unreadable == 1
    one.close()


def test_two_writers_of_a_partition_are_refused(tmp_path):
    first = open_writer(tmp_path)
    second = ArchiveWriter(LocalStorage(tmp_path), TOPIC, 2, Beginning(0, "log"))
    with pytest.raises(ArchiveError, match="another process archives partition 2"):
        second.take_over()
    first.close()
    second.take_over()
    second.close()


def test_a_member_of_a_group_is_refused_beside_a_writer_of_everything(tmp_path):
    begin = Beginning(0, "log")

    def member() -> ArchiveWriter:
        return ArchiveWriter(LocalStorage(tmp_path), TOPIC, 2, begin, lambda: begin)

    alone = open_writer(tmp_path)
    refused = member()
    with pytest.raises(ArchiveError, match="another process archives partition 2"):
        refused.take_over()
    alone.close()
    one, other = member(), member()
    one.take_over()
    other.take_over()
    with pytest.raises(ArchiveError, match="another process archives partition 2"):
        open_writer(tmp_path)
    one.close()
    other.close()
    open_writer(tmp_path).close()


def test_a_partition_is_planned_anew_when_it_comes_to_a_member(tmp_path):
    late = ArchiveWriter(
        LocalStorage(tmp_path),
        TOPIC,
        2,
        Beginning(0, "before"),
        lambda: Beginning(read_next(tmp_path), "log"),
    )
    first = open_writer(tmp_path)
    first.write(batch(0, 5))
    first.commit()
    first.close()
    late.take_over()
    assert late.floor == 5
    late.write(batch(3, 9))
    late.commit()
    late.close()
    assert archived(tmp_path) == [(number, tick(number)) for number in range(9)]


def read_next(folder: Path) -> int:
    state = read_state(LocalStorage(folder), TOPIC, 2)
    assert state is not None
    return state.next_offset


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    made = ArchiveWriter(LocalStorage(tmp_path / "file"), TOPIC, 2, Beginning(0, "log"))
    with pytest.raises(ArchiveError, match="cannot be written"):
        made.take_over()


@pytest.mark.parametrize("content", [b"", b"{", b'{"next_offset":"x"}', b"\xff"])
def test_a_damaged_state_is_named_and_not_begun_anew(tmp_path, content):
    path = tmp_path / layout.state_file(TOPIC, 2)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="is damaged"):
        read_state(LocalStorage(tmp_path), TOPIC, 2)
