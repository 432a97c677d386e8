import gzip
import json
from pathlib import Path

import pytest

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


def test_a_recording_without_frames_is_empty(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.gz", [])) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"gone\.gz: No such file or directory"):
        CaptureReader(tmp_path / "gone.gz")
    with pytest.raises(CaptureError, match="Is a directory"):
        CaptureReader(tmp_path)


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.01])
def test_a_truncated_gzip_is_an_error_after_what_was_whole(tmp_path: Path, keep: float) -> None:
    frames = [Frame(i, f"{i * 7919 % 10007}") for i in range(50_000)]
    data = write(tmp_path / "x.gz", frames).read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(data[: int(len(data) * keep)])
    got: list[Frame] = []

    def drain() -> None:
        with CaptureReader(cut) as reader:
            for block in reader.blocks():
                got.extend(block)

    with pytest.raises(CaptureError, match=r"truncated|cannot read|not a frame"):
        drain()
    assert got == frames[: len(got)]


def test_a_corrupted_gzip_is_an_error(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "x.gz", [Frame(i, f"{i}") for i in range(5000)]).read_bytes())
    data[len(data) // 2] ^= 0xFF
    broken = tmp_path / "broken.gz"
    broken.write_bytes(data)
    with pytest.raises(CaptureError, match=r"broken\.gz"):
        read(broken)


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


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES)
    for line in ('{"ts_recv_ns":"x","frame":""}', '{"ts_recv_ns":1}', "junk"):
        broken = tmp_path / "broken.ndjson"
        broken.write_text(f"{path.read_text()}{line}\n{line}\n")
        with pytest.raises(CaptureError, match="line 5 of the recording"):
            read(broken)


def test_what_comes_before_a_broken_line_is_yielded(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", FRAMES)
    path.write_text(f"{path.read_text()}junk\n")
    with CaptureReader(path) as reader:
        blocks = reader.blocks()
        assert next(blocks) == FRAMES
        with pytest.raises(CaptureError, match="line 5"):
            next(blocks)


def test_an_existing_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", FRAMES)
    with pytest.raises(CaptureError, match="File exists"):
        CaptureWriter(path, HEADER)
    assert read(path) == FRAMES
