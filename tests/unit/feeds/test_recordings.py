"""Rows of files: written by the recorder, read as one recording."""

import errno
import gzip
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog

from flows.errors import CaptureError, FeedError
from flows.feeds.base import Frame
from flows.feeds.capture import FORMAT, CaptureReader, CaptureWriter, Header
from flows.feeds.output_file import OutputFile
from flows.feeds.processor import FrameProcessor
from flows.feeds.record import RecordingFeed, limits_of, record
from flows.feeds.recordings import in_runs, open_recording, recordings_in
from flows.feeds.replay import ReplayFeed
from flows.feeds.rotation import Limits, RotatingWriter
from flows.feeds.simulator.feed import SimulatedFeed
from tests.support.polling import until
from tests.support.processes import ROOT
from tests.unit.feeds.support import decoded
from training.data.sources import _read

HEADER = Header(format=FORMAT, venue="binance", marked=True)
START_S = 1_700_000_000.0


def trade(number: int) -> Frame:
    data = {"e": "trade", "E": 1_700_000_000_000 + number, "s": "BTCUSDT", "t": number,
            "p": "100", "q": "1", "T": 1_700_000_000_000 + number, "m": True}  # fmt: skip
    text = json.dumps({"stream": "btcusdt@trade", "data": data})
    return Frame(1_700_000_000_000_000_000 + number * 10**6, text)


def row(folder: Path, first: int, count: int, start_s: float = START_S) -> list[Path]:
    """Record some trades, ten in each file."""
    clock = iter(range(10**6))
    limits = Limits(bytes=10**9, seconds=10.0)
    writer = RotatingWriter(
        folder, "binance", HEADER, limits, lambda: 0.0 * next(clock), lambda: start_s
    )
    writer._clock = lambda: float(writer._frames)
    for number in range(first, first + count):
        writer._begun_s = 0.0
        writer.write(trade(number))
    writer.close()
    return recordings_in(folder)


def marks(folder: Path) -> tuple[list[int], list[int]]:
    """Return the ids of all ticks, and of those with a gap."""
    feed = ReplayFeed(folder)
    processor = FrameProcessor.of(feed)
    ticks = []
    while not feed.finished:
        ticks += decoded(processor.process(feed.poll(7)))
    ticks += decoded(processor.finish())
    ids = [tick.trade_id or 0 for tick in ticks]
    return ids, [tick.trade_id or 0 for tick in ticks if tick.gap]


def test_names_sort_and_each_file_names_the_one_before_it(tmp_path: Path) -> None:
    files = row(tmp_path, 1, 25)
    assert [file.name for file in files] == [
        f"binance-20231114T221320Z-{part:05d}.frames.ndjson.gz" for part in (1, 2, 3)
    ]
    headers = []
    for file in files:
        with CaptureReader(file) as reader:
            headers.append(reader.header)
        gzip.decompress(file.read_bytes())  # whole
    assert [header.continues for header in headers] == ["", files[0].name, files[1].name]


def test_a_row_is_read_as_one_recording_without_gaps(tmp_path: Path) -> None:
    row(tmp_path, 1, 55)
    assert marks(tmp_path) == (list(range(1, 56)), [])
    [log] = _read(str(tmp_path), None)  # type: ignore[arg-type]
    assert len(log) == 55


def test_files_are_full_by_size_too(tmp_path: Path) -> None:
    writer = RotatingWriter(tmp_path, "x", HEADER, Limits(bytes=1, seconds=1e9))
    for number in range(1, 4):
        writer.write(trade(number))
    writer.close()
    assert len(recordings_in(tmp_path)) == 3
    assert marks(tmp_path) == ([1, 2, 3], [])


def test_a_second_run_begins_a_new_connection(tmp_path: Path) -> None:
    row(tmp_path, 1, 12)
    row(tmp_path, 20, 12, START_S + 60)
    ids, gaps = marks(tmp_path)
    assert ids == [*range(1, 13), *range(20, 32)]
    assert gaps == [20]
    assert [len(run) for run in in_runs(recordings_in(tmp_path))] == [2, 2]


@pytest.mark.parametrize("loss", ["missing", "torn"])
def test_what_is_lost_of_a_row_is_a_gap(tmp_path: Path, loss: str) -> None:
    files = row(tmp_path, 1, 30)
    if loss == "missing":
        files[1].unlink()
    else:
        whole = files[1].read_bytes()
        files[1].write_bytes(whole[: len(whole) * 2 // 3])
    ids, gaps = marks(tmp_path)
    assert set(ids) >= {*range(1, 11), *range(21, 31)}
    assert set(range(1, 31)) - set(ids)
    assert gaps == [21]


def test_a_file_without_a_header_is_left_out_and_said(tmp_path: Path) -> None:
    row(tmp_path, 1, 5)
    (tmp_path / "binance-2030.frames.ndjson.gz").write_bytes(b"")
    with structlog.testing.capture_logs() as logs:
        assert marks(tmp_path)[0] == [1, 2, 3, 4, 5]
    assert [entry["event"] for entry in logs] == ["a recording is left out"]


@pytest.mark.parametrize(
    "names", [("btc-2", "btc-10"), ("evening", "all-night")], ids=["numbers", "times"]
)
def test_files_are_read_by_their_numbers_and_times(names: tuple[str, str], tmp_path: Path) -> None:
    for number, name in enumerate(names):
        writer = CaptureWriter(tmp_path / f"{name}.frames.ndjson", HEADER)
        writer.write(trade(1 + number))
        writer.close()
    assert marks(tmp_path)[0] == [1, 2]


def test_files_without_times_are_read_by_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2):
        writer = CaptureWriter(tmp_path / f"btc-{number}.frames.ndjson", HEADER)
        writer.write(Frame(None, trade(number).text))
        writer.close()
    assert marks(tmp_path)[0] == [2, 10]


def test_a_folder_of_files_without_headers_is_refused_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "a.frames.ndjson.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(CaptureError, match=r"a\.frames\.ndjson\.gz: the compressed data end"):
        open_recording(tmp_path)


def test_a_folder_of_nothing_or_of_several_venues_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="holds no recording"):
        open_recording(tmp_path)
    row(tmp_path, 1, 2)
    other = Header(format=FORMAT, venue="coinbase-exchange", marked=True)
    CaptureWriter(tmp_path / "z.frames.ndjson", other).close()
    with pytest.raises(CaptureError, match="several venues"):
        ReplayFeed(tmp_path)


def test_the_recorder_fills_a_folder(tmp_path: Path) -> None:
    feed = SimulatedFeed(("A-USD",), rate_hz=1_000.0, seed=1, start_ns=10**18, speed=None,
                         duration_s=None)  # fmt: skip
    recording = RecordingFeed(feed, tmp_path / "new", limits=Limits(bytes=20_000), name="simulate")
    frames = [frame for _ in range(5) for frame in recording.poll(500)]
    recording.close()
    assert len(recordings_in(tmp_path / "new")) > 1
    reader = open_recording(tmp_path / "new")
    assert [frame for block in reader.blocks() for frame in block] == frames


def test_limits_make_a_folder(tmp_path: Path) -> None:
    assert limits_of(tmp_path / "x.gz", None, None) is None
    assert limits_of(tmp_path, None, None) == Limits()
    assert limits_of(tmp_path / "new", 1.0, 0.5) == Limits(bytes=512 * 1024, seconds=60.0)
    with pytest.raises(FeedError, match="--minutes 0 is no number above 0"):
        limits_of(tmp_path, 0.0, None)


@pytest.mark.parametrize("name", ["x.frames.ndjson.gz", "x.frames.ndjson"])
def test_a_full_disk_leaves_a_whole_file_with_all_that_was_flushed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    now_s = [0.0]
    writer = CaptureWriter(path, HEADER, lambda: now_s[0])
    for number in range(1, 4):
        writer.write(trade(number))
    now_s[0] = 1.0
    writer.flush()
    real = writer._file._file

    class Full:
        closed = False

        def __init__(self) -> None:
            self.calls = 0

        def write(self, data: memoryview) -> int:
            self.calls += 1
            if self.calls == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real.write(bytes(data)[:7] if self.calls == 1 else data) or 0

        def fileno(self) -> int:
            return real.fileno()

        def seek(self, at: int) -> int:
            return real.seek(at)

        def close(self) -> None:
            self.closed = True
            real.close()

    monkeypatch.setattr(writer._file, "_file", Full())
    writer.write(trade(4))
    now_s[0] = 2.0
    with pytest.raises(CaptureError, match="No space left"):
        writer.flush()
    writer.close()
    with CaptureReader(path) as reader:
        frames = [frame for block in reader.blocks() for frame in block]
        assert reader.broken_off is None
    assert frames == [trade(1), trade(2), trade(3)]


def test_a_gzipped_file_is_what_gzip_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    file = OutputFile(path, compress=True)
    text = b"".join(b"%d\n" % number for number in range(100_000))
    for start in range(0, len(text), 1_000):
        file.write(text[start : start + 1_000])
        if start % 7_000 == 0:
            file.flush()
    file.close()
    file.close()
    assert gzip.decompress(path.read_bytes()) == text
    assert file.size == path.stat().st_size


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGKILL],
    ids=["SIGTERM", "SIGINT", "SIGKILL"],
)
def test_a_recorder_that_ends_leaves_all_but_a_second(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "flows.feeds.record", str(folder), "--feed", "simulate",
               "--symbols", "A-USD", "--mb", "0.002"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: len(list(folder.glob("*.frames.ndjson*"))) >= 3, "three files", 60)
        finally:
            process.send_signal(number)
        out = process.communicate(timeout=30)[0]
    last = recordings_in(folder)[-1]
    if number != signal.SIGKILL:
        assert process.returncode == 0
        assert out.endswith(f"frames in {folder}\n")
        gzip.decompress(last.read_bytes())
    ids, gaps = marks(folder)
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert gaps == []


def test_recording_stops_when_asked(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    feed = ReplayFeed(ROOT / "tests" / "data" / "binance.frames.ndjson")
    assert record(RecordingFeed(feed, tmp_path / "x.gz"), stop) == 0
