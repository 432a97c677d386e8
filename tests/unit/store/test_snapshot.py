"""Only what is in the archive counts, while it is written and after a kill; the rest is named."""

from pathlib import Path

import msgspec
import pytest

from flows.connectors.parquet import layout
from flows.errors import ArchiveError
from flows.store import load_ticks
from flows.store.snapshot import Snapshot, open_archive, take_snapshot
from schemas import topics
from tests.support.archives import archive, open_writer, raw_batch
from tests.unit.store import market

TOPIC = topics.TICKS_RAW
TICKS = [market.tick(number, "BTC-USD") for number in range(30)]


class Killed(BaseException):
    """The process ends here."""


def snapshot(folder: Path) -> Snapshot:
    return take_snapshot(open_archive(folder))


def offsets(folder: Path) -> list[int]:
    return load_ticks(folder, columns=["log_offset"]).column(0).to_pylist()


@pytest.mark.parametrize("at", range(4), ids=["intent", "first file", "second file", "state"])
def test_a_run_that_was_cut_short_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    archive(tmp_path, TOPIC, TICKS[:10])
    cut = open_writer(tmp_path, TOPIC)
    # Two days, so two files.
    cut.write(raw_batch([TICKS[10], market.tick(290, "BTC-USD")], 10))
    storage = type(cut._storage)
    done: list[str] = []
    put, swap = storage.put, storage.swap

    def die(act):
        def acting(self, path, *rest):
            if len(done) == at:
                raise Killed
            done.append(path)
            return act(self, path, *rest)

        return acting

    monkeypatch.setattr(storage, "put", die(put))
    monkeypatch.setattr(storage, "swap", die(swap))
    with pytest.raises(Killed):
        cut.commit()
    monkeypatch.undo()
    assert offsets(tmp_path) == list(range(10))
    assert len(snapshot(tmp_path).unfinished) == max(0, at - 1)
    cut.close()
    archive(tmp_path, TOPIC, TICKS[10:20])
    assert offsets(tmp_path) == list(range(20))
    assert snapshot(tmp_path).unfinished == []


def test_a_run_that_comes_in_while_files_are_listed_is_left_out_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path, TOPIC, TICKS[:10])
    storage = open_archive(tmp_path)
    files = type(storage).files

    def late(self, prefix):
        if prefix == f"{layout.topic_folder(TOPIC)}/" and "more" not in seen:
            seen.append("more")
            archive(tmp_path, TOPIC, [*TICKS[10:20], market.tick(290, "BTC-USD")])
        return files(self, prefix)

    seen: list[str] = []
    monkeypatch.setattr(type(storage), "files", late)
    taken = take_snapshot(storage)
    assert seen == ["more"]
    assert len(taken.files["ticks_raw"]) == 1
    assert taken.positions[TOPIC, 0] == 10


def test_symbols_of_any_letters_and_of_any_length_are_found(tmp_path: Path) -> None:
    symbols = ["A/B", "%41", "ö €", ".", "*", "[x]", "é" * 64, "x" * 64]
    archive(tmp_path, TOPIC, [market.tick(1, symbol) for symbol in symbols])
    for symbol in symbols:
        assert load_ticks(tmp_path, symbols=symbol).column("symbol").to_pylist() == [symbol]


def test_files_that_are_not_the_archives_are_named_and_not_read(tmp_path: Path) -> None:
    archive(tmp_path, TOPIC, [*TICKS[:3], b"no tick"])
    folder = next(tmp_path.glob("topic=*/date=*/symbol=*"))
    (folder / "mine.parquet").write_bytes(b"no Parquet")
    (tmp_path / "notes.txt").write_text("read me")
    (tmp_path / "topic=newer").mkdir()
    (tmp_path / "topic=newer" / "x.parquet").write_bytes(b"")
    (folder / ".partial.tmp").write_bytes(b"hidden")
    taken = snapshot(tmp_path)
    assert taken.foreign == [
        "notes.txt",
        "topic=newer/x.parquet",
        str((folder / "mine.parquet").relative_to(tmp_path)),
    ]
    assert taken.unfinished == []
    assert len(taken.unreadable[TOPIC]) == 1
    assert offsets(tmp_path) == [0, 1, 2]


def test_a_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    archive(tmp_path, TOPIC, TICKS)
    next(tmp_path.glob("topic=*/*/*/*.parquet")).write_bytes(b"torn")
    with pytest.raises(ArchiveError, match=r"ticks_raw cannot be read: .*\.parquet") as caught:
        load_ticks(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    archive(tmp_path, TOPIC, TICKS)
    (tmp_path / layout.state_file(TOPIC, 0)).write_bytes(msgspec.json.encode({"older": 1}))
    with pytest.raises(ArchiveError, match=r"00000\.json is damaged"):
        load_ticks(tmp_path)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("x"), "is no folder"),
        (lambda path: path.mkdir(), "it is empty"),
        (lambda path: (path.mkdir(), (path / "a.csv").write_text("1")), "it holds a.csv"),
    ],
    ids=["missing", "file", "empty", "foreign"],
)
def test_what_is_no_archive_is_named(tmp_path: Path, make, told: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(ArchiveError, match=told):
        load_ticks(tmp_path / "it")


def test_a_path_that_reads_as_a_pattern_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "a[b]", TOPIC, TICKS)
    with pytest.raises(ArchiveError, match="give it another name"):
        load_ticks(tmp_path / "a[b]")
