"""A bucket behaves as a folder does, and its conditional writes keep two owners apart."""

import pyarrow as pa
import pytest

from flows.connectors.parquet.places import local_copy, open_storage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.errors import ArchiveError, FencedError
from schemas import topics
from schemas.ticks import Tick
from tests.support.archive import rows_of
from tests.support.archives import raw_batch

TOPIC = topics.TICKS_RAW


def ticks(count: int) -> list[Tick]:
    return [
        Tick(symbol="BTC-USD", venue="v", ts_event_ns=1_750_000_000 * 10**9 + at, price=1.0 + at)
        for at in range(count)
    ]


def test_what_is_put_is_read_listed_and_deleted(reopen) -> None:
    storage = reopen()
    storage.put("topic=a/date=b/x.parquet", b"one")
    storage.put("topic=a/date=b/x.parquet", memoryview(b"two"))
    storage.put("topic=ab/y", pa.py_buffer(b"three"))
    assert storage.read("topic=a/date=b/x.parquet") == b"two"
    assert storage.read("topic=a/date=c") is None
    assert list(reopen().files("topic=a/")) == [("topic=a/date=b/x.parquet", 3)]
    assert [path for path, _ in storage.files("")] == ["topic=a/date=b/x.parquet", "topic=ab/y"]
    storage.delete("topic=ab/y")
    storage.delete("topic=ab/y")
    assert storage.read_version("topic=ab/y") is None


def test_a_state_is_replaced_by_who_knows_it_alone(reopen) -> None:
    one, other = reopen(), reopen()
    first = one.swap("state", b"1", None)
    with pytest.raises(FencedError, match="taken over state"):
        other.swap("state", b"1", None)
    second = other.swap("state", b"2", first)
    with pytest.raises(FencedError):
        one.swap("state", b"3", first)
    assert other.read_version("state") == (b"2", second)
    other.delete("state")
    with pytest.raises(FencedError):
        one.swap("state", b"3", second)


def test_a_write_that_is_sent_again_meets_its_own_result(bucket_place, monkeypatch) -> None:
    storage = open_storage(bucket_place)
    put = storage._client.put_object

    def twice(**options: object) -> object:
        put(**options)  # the answer is lost, and the client tries again
        return put(**options)

    monkeypatch.setattr(storage._client, "put_object", twice)
    first = storage.swap("state", b"1", None)
    second = storage.swap("state", b"2", first)
    assert open_storage(bucket_place).read_version("state") == (b"2", second)


def test_a_writer_that_was_replaced_ends_and_leaves_nothing(bucket_place) -> None:
    old = ArchiveWriter(open_storage(bucket_place), TOPIC, 0, Beginning(0, "log"))
    old.take_over()
    old.write(raw_batch(ticks(3), 0))
    new = ArchiveWriter(open_storage(bucket_place), TOPIC, 0, Beginning(0, "log"))
    new.take_over()
    with pytest.raises(FencedError):
        old.commit()
    new.write(raw_batch(ticks(5), 0))
    new.commit()
    assert [row["log_offset"] for row in rows_of(open_storage(bucket_place), TOPIC)] == [*range(5)]


def test_a_copy_has_what_counts_and_follows(bucket_place, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    storage = open_storage(bucket_place)
    writer = ArchiveWriter(storage, TOPIC, 0, Beginning(0, "log"))
    writer.take_over()
    for count in (4, 2):
        writer.write(raw_batch(ticks(count), writer.floor))
        writer.commit()
        stray = "topic=ticks.raw/date=2025-06-15/symbol=BTC-USD/00000-000009-00-05.parquet"
        storage.put(stray, b"of a run that was cut short")
        folder = local_copy(bucket_place)
        copied = rows_of(open_storage(folder), TOPIC)
        assert copied == rows_of(storage, TOPIC)
        assert not (folder / stray).exists()
    assert len(copied) == 6


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("s3://no-such-bucket/archive", "NoSuchBucket|does not exist"),
        ("s3://voltick-tests/archive", "cannot be read|cannot be written"),
    ],
    ids=["no bucket", "no server"],
)
def test_a_bucket_that_cannot_be_used_is_named(s3, monkeypatch, place: str, words: str) -> None:
    if "no-such" not in place:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("flows.connectors.parquet.s3._ATTEMPTS", 1)
    storage = open_storage(place)
    for call in (
        lambda: storage.put("x", b""),
        lambda: storage.swap("x", b"", None),
        lambda: list(storage.files("")),
        lambda: storage.read("x"),
    ):
        with pytest.raises(ArchiveError, match=words) as failure:
            call()
        assert place in str(failure.value)
