"""An archive's ticks are those of its topic, bit for bit, whatever else lay on it."""

import dataclasses
import itertools
import random

import numpy as np
import pytest

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.connectors.parquet.storage import LocalStorage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.errors import TrainingError
from flows.settings import load_settings
from schemas import topics
from tests.proof.inputs import messages
from training.data.build import compute_features
from training.data.merging import once_each
from training.data.sources import read_sources
from training.data.ticklog import TickLog

COUNT = 3_000


def log(seed: int, first: int = 0, end: int = COUNT) -> RawBatch:
    """Return messages of one partition, bad ones and gap marks of bad ones among them."""
    made = list(itertools.islice(messages(seed, 1), end))[first:]
    return RawBatch(
        partition=0,
        values=[each.value for each in made],
        offsets=list(range(first, end)),
        timestamps_ms=[each.timestamp_ms for each in made],
        next_offset=end,
    )


def cut(raw: RawBatch, first: int, end: int) -> RawBatch:
    return dataclasses.replace(
        raw,
        values=raw.values[first:end],
        offsets=raw.offsets[first:end],
        timestamps_ms=raw.timestamps_ms[first:end],
        next_offset=raw.offsets[end - 1] + 1,
    )


def archive(folder, raw: RawBatch, seed: int) -> None:
    """Write a log in runs of any length, by several writers."""
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    at, writer = 0, None
    while at < len(raw.values):
        if writer is None:
            writer = ArchiveWriter(LocalStorage(folder), topics.TICKS_RAW, 0, Beginning(at, "log"))
            writer.take_over()
        end = min(at + random_.randint(1, 700), len(raw.values))
        writer.write(cut(raw, at, end))
        at = end
        writer.commit()
        if random_.random() < 0.3:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


def as_served(raw: RawBatch) -> tuple[TickBatch, SymbolTable, int]:
    symbols = SymbolTable()
    batch, dead = decode(raw, symbols, topics.TICKS_RAW, frozenset())
    return batch, symbols, len(dead)


def assert_same(one: TickBatch, other: TickBatch) -> None:
    for field in dataclasses.fields(one):
        if field.name != "ticks":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("seed", [1, 2])
def test_ticks_and_features_of_an_archive_are_those_of_the_topic(tmp_path, seed):
    raw = log(seed)
    archive(tmp_path, raw, seed)
    served, symbols, dead = as_served(raw)
    assert dead
    [found] = read_sources([str(tmp_path)], load_settings({}))
    assert (found.dead, found.names) == (
        dead,
        [f"{venue}:{symbol}" for venue, symbol in symbols.ids],
    )
    assert_same(found.batch, served)
    one, other = compute_features(found.batch), compute_features(served)
    assert one.values.tobytes() == other.values.tobytes()
    assert one.flags.tobytes() == other.flags.tobytes()


def test_an_archive_and_its_topic_are_one_log(tmp_path):
    raw = log(3)
    archive(tmp_path, cut(raw, 0, 2_000), 3)
    [archived] = read_sources([str(tmp_path)], load_settings({}))
    served, symbols, _dead = as_served(raw)
    tail, tail_symbols, _dead = as_served(cut(raw, 1_500, COUNT))
    [joined] = once_each([archived, TickLog("kafka", tail, tail_symbols, "live")])
    assert list(joined.symbols.ids) == list(symbols.ids)
    np.testing.assert_array_equal(joined.batch.offset, served.offset)
    np.testing.assert_array_equal(joined.batch.price, served.price)


def test_a_damaged_file_is_named(tmp_path):
    archive(tmp_path, log(4, end=50), 4)
    file = next(tmp_path.glob("topic=*/*/*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(TrainingError, match="cannot read") as failure:
        read_sources([str(tmp_path)], load_settings({}))
    assert file.name in str(failure.value)


def test_what_does_not_count_is_not_read(tmp_path):
    raw = log(5, end=200)
    archive(tmp_path, raw, 5)
    file = next(tmp_path.glob("topic=*/*/*/*.parquet"))
    (file.parent / f"00000-000099-{200:020d}-{300:020d}.parquet").write_bytes(file.read_bytes())
    [found] = read_sources([str(tmp_path)], load_settings({}))
    assert_same(found.batch, as_served(raw)[0])
