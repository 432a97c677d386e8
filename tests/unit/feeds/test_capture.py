import gzip
import json
import zlib
from pathlib import Path

import msgspec
import pytest
import structlog

from flows.errors import CaptureError
from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader, CaptureWriter, Header

HEADER = Header(format="frames/1", venue="binance", source="test", note="two")
FRAMES = [Frame(1, '{"a":"é\\n"}'), Frame(None, "not json"), Frame(3, "{}", fresh=True)]


def read(path: Path) -> list[Frame]:
    with CaptureReader(path) as reader:
        return [frame for block in reader.blocks() for frame in block]


def write(path: Path, frames: list[Frame]) -> Path:
    with CaptureWriter(path, HEADER) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize("name", ["x.frames.ndjson.gz", "x.frames.ndjson"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, FRAMES)
    assert read(path) == FRAMES
    with CaptureReader(path) as reader:
        assert reader.header == HEADER


def test_lines_have_exactly_the_formats_fields(tmp_path: Path) -> None:
    lines = write(tmp_path / "x.ndjson", FRAMES).read_text().splitlines()
    assert json.loads(lines[1]) == {"ts_recv_ns": 1, "frame": FRAMES[0].text}
    assert json.loads(lines[2]) == {"ts_recv_ns": None, "frame": "not json"}
    assert json.loads(lines[3])["fresh"] is True


def test_the_kind_of_file_is_seen_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", FRAMES)
    renamed = path.rename(tmp_path / "x.txt")
    assert read(renamed) == FRAMES


def test_a_long_recording_comes_in_blocks(tmp_path: Path) -> None:
    frames = [Frame(i, "x" * 100) for i in range(40_000)]
    path = write(tmp_path / "x.gz", frames)
    with CaptureReader(path) as reader:
        blocks = list(reader.blocks())
    assert len(blocks) > 3
    assert [frame for block in blocks for frame in block] == frames


def test_a_last_line_without_an_end_and_blank_lines_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES)
    path.write_text(path.read_text().replace("\n", "\n\n").rstrip("\n"))
    assert read(path) == FRAMES


def test_what_an_editor_has_saved_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path) == FRAMES


def test_a_recording_without_frames_is_empty(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.gz", [])) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"gone\.gz: No such file or directory"):
        CaptureReader(tmp_path / "gone.gz")
    with pytest.raises(CaptureError, match="Is a directory"):
        CaptureReader(tmp_path)


@pytest.mark.parametrize("keep", [0.999, 0.9, 0.5, 0.1])
def test_a_truncated_gzip_gives_all_that_comes_before_the_cut(tmp_path: Path, keep: float) -> None:
    frames = [Frame(i, f"{i * 7919 % 10007}") for i in range(50_000)]
    data = write(tmp_path / "x.gz", frames).read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(data[: int(len(data) * keep)])
    with structlog.testing.capture_logs() as logs:
        got = read(cut)
    assert got == frames[: len(got)]
    whole = zlib.decompressobj(31).decompress(data[: int(len(data) * keep)])
    assert len(got) == whole.count(b"\n") - 1  # to the last whole line
    [entry] = logs
    assert entry["log_level"] == "warning"
    assert "breaks off" in entry["event"]


def test_a_cut_plain_file_gives_all_that_comes_before_the_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES)
    path.write_bytes(path.read_bytes()[:-5])
    with structlog.testing.capture_logs() as logs, CaptureReader(path) as reader:
        assert [frame for block in reader.blocks() for frame in block] == FRAMES[:-1]
        assert reader.broken_off == "its last line is cut"
    assert len(logs) == 1


def test_a_corrupted_gzip_gives_what_comes_before_the_damage(tmp_path: Path) -> None:
    frames = [Frame(i, f"{i}") for i in range(50_000)]
    data = bytearray(write(tmp_path / "x.gz", frames).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    broken = tmp_path / "broken.gz"
    broken.write_bytes(data)
    with structlog.testing.capture_logs() as logs:
        got = read(broken)
    # What is damaged can look like data, until the sum over all of it is checked.
    assert got[:24_000] == frames[:24_000]
    assert any("breaks off" in entry["event"] for entry in logs)


def test_a_file_cut_within_its_header_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", FRAMES)
    path.write_bytes(path.read_bytes()[:15])
    with pytest.raises(CaptureError, match=r"cannot read the recording .*before their end mark"):
        CaptureReader(path)


def test_recordings_that_were_put_together_are_read_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", FRAMES)
    lines = gzip.compress(b'{"ts_recv_ns":9,"frame":"more"}\n')
    path.write_bytes(path.read_bytes() + lines + bytes(512))  # padded, as on a tape
    assert read(path) == [*FRAMES, Frame(9, "more")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"time,price\n1,2\n",
        b'{"format":"frames/2","venue":"binance"}\n',
        b'{"format":"frames/1"}\n',
        b'{"venue":"binance"}\n',
        b"[1]\n",
        b"\x00\xff\xfe",
        gzip.compress(b"plain text\n"),
    ],
    ids=[
        "empty",
        "csv",
        "later format",
        "no venue",
        "no format",
        "a list",
        "binary",
        "gzipped text",
    ],
)
def test_a_foreign_file_is_refused_with_what_is_expected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match="not a recording of frames"):
        CaptureReader(path)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"ts_recv_ns":"x","frame":""}', id="wrong type"),
        pytest.param(b'{"ts_recv_ns":1}', id="missing field"),
        pytest.param(b"junk", id="no JSON"),
        pytest.param(b'{"ts_recv_ns":1,"frame":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"ts_recv_ns":99999999999999999999,"frame":""}', id="too large"),
        pytest.param(b"[" * 100_000, id="endless nesting"),
        pytest.param(b"\x00" * 4096, id="a hole of a crashed disk"),
    ],
)
def test_a_line_that_is_no_frame_is_left_out_and_said(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES[:2])
    more = msgspec.json.encode(FRAMES[2])
    path.write_bytes(path.read_bytes() + line + b"\n" + line + b"\n" + more + b"\n" + more + b"\n")
    with structlog.testing.capture_logs() as logs, CaptureReader(path) as reader:
        got = [frame for block in reader.blocks() for frame in block]
        assert reader.damaged == 2
    lost = Frame(3, "{}", fresh=True, after_loss=True)
    assert got == [*FRAMES[:2], lost, FRAMES[2]]
    assert [entry["log_level"] for entry in logs] == ["warning"] * 2
    assert logs[0]["line"] == 4


def test_what_is_written_can_be_read_half_a_second_later(tmp_path: Path) -> None:
    now_s = [0.0]
    path = tmp_path / "x.frames.ndjson.gz"
    writer = CaptureWriter(path, HEADER, clock=lambda: now_s[0])
    written: list[Frame] = []
    for number in range(100):
        now_s[0] += 0.1
        frame = Frame(number, f"{number}")
        writer.write(frame)
        written.append(frame)
        writer.flush()
        copy = tmp_path / "copy.gz"  # what a reader finds if the writer is killed now
        copy.write_bytes(path.read_bytes())
        if number >= 5:
            got = read(copy)
            assert got == written[: len(got)]
            assert len(written) - len(got) <= 5
    writer.close()
    assert read(path) == written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    class Full(type(tmp_path)):  # type: ignore[misc]
        def open(self, mode: str = "r", **options: object) -> object:
            return Path("/dev/full").open("wb")

    for name in ("x.gz", "x.ndjson"):

        def record(name: str = name) -> None:
            with CaptureWriter(
                Full(tmp_path / name), HEADER, clock=iter(range(99)).__next__
            ) as out:
                for number in range(9):
                    out.write(Frame(number, "x" * 99))
                    out.flush()

        with pytest.raises(CaptureError, match=r"cannot write the recording .*No space left"):
            record()


def test_an_existing_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", FRAMES)
    with pytest.raises(CaptureError, match="File exists"):
        CaptureWriter(path, HEADER)
    assert read(path) == FRAMES
