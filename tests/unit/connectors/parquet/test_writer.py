"""The archive holds each message once, wherever its writer was cut off."""

import os
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from flows.codec.batch import RawBatch
from flows.connectors.parquet import layout, writer
from flows.connectors.parquet.writer import ArchiveWriter, read_state, uncommitted
from flows.errors import ArchiveError
from schemas import topics
from schemas.ticks import Tick

DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS
TOPIC = topics.TICKS_RAW


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
    state = read_state(folder, TOPIC, 2)
    made = ArchiveWriter(folder, TOPIC, 2, 0 if state is None else state.next_offset, "id")
    made.take_over()
    return made


def archived(folder: Path) -> list[tuple[int, Tick]]:
    """Return offset and tick of every visible row, in offset order."""
    found = []
    hidden = uncommitted(folder, TOPIC, 2)
    for file in (folder / layout.topic_folder(TOPIC)).rglob("*.parquet"):
        if file in hidden:
            continue
        for row in pq.ParquetFile(file).read().to_pylist():
            offset = row.pop("log_offset")
            assert (row.pop("log_partition"), row.pop("log_ts_ms")) == (2, 1_000 + offset)
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
    [file] = (tmp_path / layout.unreadable_folder(TOPIC)).glob("*.parquet")
    rows = pq.ParquetFile(file).read().to_pylist()
    assert {row["log_offset"]: row["payload"] for row in rows} == foreign


class CutOffError(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize("step", range(40))
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
        for name in ("rename", "replace", "unlink", "open"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(writer.pq, "write_table", counted(writer.pq.write_table))
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
    assert cut or step > 20


def test_two_writers_of_a_partition_are_refused(tmp_path):
    first = open_writer(tmp_path)
    second = ArchiveWriter(tmp_path, TOPIC, 2, 0, None)
    with pytest.raises(ArchiveError, match="another process archives partition 2"):
        second.take_over()
    first.close()
    second.take_over()
    second.close()


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    made = ArchiveWriter(tmp_path / "file", TOPIC, 2, 0, None)
    with pytest.raises(ArchiveError, match="cannot be written"):
        made.take_over()


@pytest.mark.parametrize("content", [b"", b"{", b'{"next_offset":"x"}', b"\xff"])
def test_a_damaged_state_is_named_and_not_begun_anew(tmp_path, content):
    path = tmp_path / layout.state_file(TOPIC, 2)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="is damaged"):
        read_state(tmp_path, TOPIC, 2)
