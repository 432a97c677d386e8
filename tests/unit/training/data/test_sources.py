"""Ticks come in alike from every kind of source, and bad sources say what is wrong."""

import dataclasses
import gzip

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import CaptureError, TrainingError
from flows.feeds.base import Frame
from flows.feeds.capture import FORMAT, Header
from flows.numeric.time import NS_PER_S
from flows.settings import load_settings
from tests.support.frames import exchange_ticker, write_capture
from training.data import sources
from training.data.parquet import read_parquet
from training.data.sources import (
    origin_of,
    parse_duration,
    parse_time,
    read_simulation,
    read_sources,
)
from training.data.ticklog import between, take


@pytest.fixture
def settings():
    return load_settings({})


@pytest.fixture
def recording(tmp_path):
    return write_capture(
        tmp_path / "a.frames.ndjson.gz", [exchange_ticker(number) for number in range(400)]
    )


def as_parquet(log, folder, **changes):
    batch = log.batch
    names = list(log.symbols.ids)
    columns = {
        "symbol": [names[number][1] for number in batch.symbol_id],
        "venue": [names[number][0] for number in batch.symbol_id],
        "ts_event_ns": batch.ts_event_ns,
        "price": batch.price,
        "size": batch.size,
        "side": batch.side,
        "bid": batch.bid,
        "ask": batch.ask,
        "bid_size": batch.bid_size,
        "ask_size": batch.ask_size,
        "trade_id": batch.trade_id,
        "gap": batch.gap,
        **changes,
    }
    folder.mkdir(exist_ok=True)
    table = pa.table({name: value for name, value in columns.items() if value is not None})
    pq.write_table(table, folder / "ticks.parquet")
    return folder


def same(one, other):
    for field in dataclasses.fields(one):
        if field.name in {"partition", "ticks"}:
            continue
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_a_recording_and_its_parquet_are_the_same_ticks(recording, tmp_path, settings):
    (log,) = read_sources([str(recording)], settings)
    assert len(log) == 400
    assert log.provenance == "recorded"
    (copy,) = read_sources([str(as_parquet(log, tmp_path / "ticks"))], settings)
    same(log.batch, copy.batch)
    assert copy.names == log.names == ["coinbase-exchange:BTC-USD"]


def test_several_sources_are_several_logs(recording, tmp_path, settings):
    frames = [exchange_ticker(number + 1_000) for number in range(300)]
    other = write_capture(tmp_path / "b.frames.ndjson.gz", frames)
    logs = read_sources([f"{recording},{other}"], settings)
    assert [len(log) for log in logs] == [400, 300]


def test_a_source_that_is_given_twice_is_taken_once(recording, settings):
    (log,) = read_sources([f"{recording},{recording}", str(recording)], settings)
    assert len(log) == 400
    assert log.name == recording.name


def test_a_time_range_cuts_by_event_time(recording, settings):
    (log,) = read_sources([str(recording)], settings)
    middle = int(log.batch.ts_event_ns[200])
    (cut,) = read_sources([str(recording)], settings, from_ns=middle, to_ns=middle + 10 * NS_PER_S)
    assert len(cut) == 10
    assert between(log, None, None) is log
    with pytest.raises(TrainingError, match=r"too few ticks: .* holds none in the asked time"):
        read_sources([str(recording)], settings, to_ns=1)


def test_bad_parquet_rows_are_counted_and_left_out(recording, tmp_path, settings):
    (log,) = read_sources([str(recording)], settings)
    price = log.batch.price.copy()
    price[[3, 5]] = [-1.0, np.nan]
    bid = log.batch.bid.copy()
    bid[7] = log.batch.ask[7] + 1
    (copy,) = read_parquet(as_parquet(log, tmp_path / "bad", price=price, bid=bid))
    assert copy.dead == 2
    assert len(copy) == 398
    assert np.isnan(copy.batch.bid).sum() == np.isnan(log.batch.bid).sum() + 1


def test_what_a_parquet_does_not_say_is_unknown(recording, tmp_path, settings):
    (log,) = read_sources([str(recording)], settings)
    unsaid = dict.fromkeys(("size", "side", "bid", "ask", "bid_size", "ask_size", "gap"))
    (copy,) = read_parquet(as_parquet(log, tmp_path / "bare", trade_id=None, **unsaid))
    assert np.isnan(copy.batch.size).all()
    assert (copy.batch.trade_id == -1).all()
    assert not copy.batch.gap.any()


def test_partitions_of_a_parquet_are_logs_of_their_own(recording, tmp_path, settings):
    (log,) = read_sources([str(recording)], settings)
    number = np.arange(400) % 2
    logs = read_parquet(
        as_parquet(log, tmp_path / "parts", partition=number, offset=np.arange(400))
    )
    assert [len(one) for one in logs] == [200, 200]
    assert logs[1].batch.offset[0] == 1
    same(logs[1].batch, take(log.batch, number == 1))


def test_features_are_not_taken_for_ticks(tmp_path, settings):
    pq.write_table(
        pa.table({"symbol": ["A"], "history_s": [1.0], "feature_set": [7]}), tmp_path / "x.parquet"
    )
    with pytest.raises(TrainingError, match=r"holds features \(FEATURE_SET 7\), not ticks"):
        read_sources([str(tmp_path)], settings)


def test_foreign_files_are_named(tmp_path, settings):
    with pytest.raises(TrainingError, match="holds no ticks: no file"):
        read_sources([str(tmp_path)], settings)
    pq.write_table(pa.table({"symbol": ["A"]}), tmp_path / "x.parquet")
    with pytest.raises(
        TrainingError, match="the column ts_event_ns, price is missing; it has symbol"
    ):
        read_sources([str(tmp_path)], settings)
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"cannot read .* as Parquet"):
        read_sources([str(tmp_path)], settings)
    with pytest.raises(CaptureError, match="cannot read the recording"):
        read_sources([str(tmp_path / "none.ndjson")], settings)


def test_a_folder_of_recordings_is_read_in_order_of_their_numbers(tmp_path, settings):
    for number in (10, 2):
        frames = [exchange_ticker(100 * number + each) for each in range(number)]
        write_capture(tmp_path / f"btc-{number}.frames.ndjson.gz", frames)
    for stray in ("README.txt", ".DS_Store", "x.frames.ndjson.gz.part"):
        (tmp_path / stray).write_text("nothing")
    assert [len(log) for log in read_sources([str(tmp_path)], settings)] == [2, 10]


def test_a_file_that_its_recorder_could_not_begin_stops_no_other(recording, tmp_path, settings):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.frames.ndjson.gz").write_bytes(b"\x1f\x8b")
    (folder / "b.frames.ndjson.gz").write_bytes(recording.read_bytes())
    (log,) = read_sources([str(folder)], settings)
    assert len(log) == 400
    (folder / "b.frames.ndjson.gz").unlink()
    with pytest.raises(CaptureError, match=r"a\.frames\.ndjson\.gz: the compressed data end"):
        read_sources([str(folder)], settings)


def test_a_recording_without_a_tick_stops_no_other(recording, tmp_path, settings):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.frames.ndjson.gz").write_bytes(recording.read_bytes())
    write_capture(folder / "a.frames.ndjson.gz", [])
    write_capture(folder / "c.frames.ndjson.gz", ['{"type":"subscriptions"}'])
    (log,) = read_sources([str(folder)], settings)
    assert len(log) == 400
    (folder / "b.frames.ndjson.gz").unlink()
    with pytest.raises(TrainingError, match="too few ticks"):
        read_sources([str(folder)], settings)


def test_a_recording_without_ticks_has_too_few(tmp_path, settings):
    path = write_capture(tmp_path / "empty.frames.ndjson.gz", ['{"type":"subscriptions"}'])
    with pytest.raises(TrainingError, match="too few ticks"):
        read_sources([str(path)], settings)


def test_a_recording_without_a_usable_tick_says_why(tmp_path, settings):
    clock_ns = 1_600_000_000_000_000_000
    frames = [exchange_ticker(number) for number in range(3)]
    path = tmp_path / "behind.frames.ndjson"
    header = msgspec.json.encode(Header(format=FORMAT, venue="coinbase-exchange"))
    lines = [msgspec.json.encode(Frame(clock_ns, text)) for text in frames]
    path.write_bytes(b"\n".join([header, *lines, msgspec.json.encode(Frame(clock_ns, "{"))]))
    with pytest.raises(TrainingError, match=r"dead letters: future_time 3, broken_frame 1\)"):
        read_sources([str(path)], settings)


def test_a_truncated_recording_gives_what_comes_before_the_cut(recording, tmp_path, settings):
    cut = tmp_path / "cut.frames.ndjson.gz"
    cut.write_bytes(recording.read_bytes()[:-200])
    [log] = read_sources([str(cut)], settings)
    assert 300 < len(log) < 400
    plain = gzip.decompress(recording.read_bytes())
    (tmp_path / "plain.ndjson").write_bytes(plain)
    assert len(read_sources([str(tmp_path / "plain.ndjson")], settings)[0]) == 400


def test_a_simulation_is_simulated_and_repeatable(settings):
    one = read_simulation(60, settings, 1_700_000_000 * NS_PER_S)
    two = read_simulation(60, settings, 1_700_000_000 * NS_PER_S)
    assert one.provenance == "simulated"
    assert len(one) > 300
    same(one.batch, two.batch)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0s", "-1h", "1w"])
def test_other_durations_are_refused(text):
    with pytest.raises(TrainingError, match="is no duration"):
        parse_duration(text)


def test_times_without_offset_are_utc():
    assert parse_time("2026-01-05") == parse_time("2026-01-05T01:00:00+01:00")
    with pytest.raises(TrainingError, match="is no time"):
        parse_time("yesterday")


@pytest.mark.parametrize(
    ("feed", "origin"),
    [
        ("auto", "live"),
        ("coinbase-exchange,binance", "live"),
        ("replay:a.frames.ndjson", "recorded"),
        ("binance,replay:a.frames.ndjson", "recorded"),
    ],
)
def test_a_topic_that_a_replay_writes_is_recorded(feed, origin):
    assert origin_of(feed) == origin


@pytest.mark.parametrize("text", ["3651d", "99999999999d", "9" * 400 + "s"], ids=len)
def test_a_duration_beyond_ten_years_is_refused_by_name(text):
    """A clock that waits, and one that counts back, cannot do so for ever."""
    with pytest.raises(TrainingError, match="is too long; the longest duration is 3650d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "--from '' names no source"),
        (" , ", "--from ' , ' names no source"),
        ("https://host/a.parquet", "https://host/a.parquet is an address"),
        ("a.parquet,gs://bucket/a", "gs://bucket/a is an address"),
    ],
    ids=["empty", "commas", "web", "other-bucket"],
)
def test_what_names_no_place_to_read_is_refused_as_it_was_written(name, why, settings):
    with pytest.raises(TrainingError, match=why):
        read_sources([name], settings)


def test_a_fraction_of_a_second_is_kept():
    assert parse_time("2026-01-05T14:30:00.25") - parse_time("2026-01-05T14:30") == NS_PER_S // 4


def test_a_topic_is_asked_for_no_time_before_1970(monkeypatch):
    """Kafka takes -1 for the end of the topic, and other negative times for errors."""
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    asked = []
    monkeypatch.setattr(sources, "read_topic", lambda *given: asked.append(given[2:]) or [])
    for since in ("1969-12-31T23:59:59.999", "0001-01-01"):
        with pytest.raises(TrainingError, match="too few ticks"):
            read_sources(["kafka:ticks.raw"], settings, from_ns=parse_time(since), to_ns=None)
    assert asked == [(0, None), (0, None)]
