import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows.host.whole_files import whole_file, whole_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.csv"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail() -> None:
        with whole_files() as unfinished:
            unfinished(path).write_text("new")
            unfinished(tmp_path / "b.csv").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_a_file_that_was_named_and_not_written_is_an_error_and_no_name(tmp_path: Path) -> None:
    def forget() -> None:
        with whole_files() as unfinished:
            unfinished(tmp_path / "a").write_text("new")
            unfinished(tmp_path / "b")

    with pytest.raises(FileNotFoundError):
        forget()
    assert names(tmp_path) == []


def test_a_killed_process_leaves_no_file_under_any_name(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from flows.host.whole_files import whole_files
with whole_files() as unfinished:
    for name in "ab":
        unfinished(Path({str(tmp_path)!r}) / name).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "a").write_text("old")
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode < 0
    assert (tmp_path / "a").read_text() == "old"
    assert not (tmp_path / "b").exists()
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["a"]


def test_two_processes_that_write_one_name_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    program = f"""
import sys
from pathlib import Path
from flows.host.whole_files import whole_file
with whole_file(Path({str(path)!r})) as partial, partial.open("w") as out:
    out.write("other")
    print("begun", flush=True)
    sys.stdin.readline()
    out.write("other")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        with whole_file(path) as partial:
            partial.write_text("mine")
        assert path.read_text() == "mine"
        other.communicate("\n")
        assert other.returncode == 0
    assert path.read_text() == "otherother"
    assert names(tmp_path) == ["a"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    with whole_file(pipe) as partial:
        partial.write_text("told")
    reader.join()
    assert heard == ["told"]
    assert pipe.is_fifo()


def test_a_device_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    with whole_file(link) as partial:
        partial.write_text("gone")
    assert Path(os.devnull).is_char_device()
    assert link.is_symlink()


def test_a_link_goes_on_leading_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    with whole_file(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_text() == "new"


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, whole_file(tmp_path):
        pass
    assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    with whole_file(tmp_path / name) as partial:
        partial.write_text("new")
    assert names(tmp_path) == [name]
