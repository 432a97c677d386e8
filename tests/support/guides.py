"""Guides that are carried out: a guide's blocks in a copy of the repository, one after another.

A block whose fence names a path is that file; a ``diff`` is applied, wherever its old lines stand;
``sh`` is run. Other blocks are read by people alone.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import clean_environment

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(?P<kind>\w+)(?: (?P<path>\S+))?\n(?P<body>.*?)^```$", re.M | re.S)
_COPIED = ("flows", "schemas", "serving", "tests", "training", "pyproject.toml")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the path behind it, and its lines."""

    kind: str
    path: str | None
    body: str


def section(document: Path, title: str) -> str:
    """Return what stands under a heading of the second level."""
    text = document.read_text("utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"{document.name} has no section {title!r}"
    return found[1]


def blocks(text: str) -> Iterator[Block]:
    """Yield a text's fenced blocks in order."""
    for found in _FENCE.finditer(text):
        yield Block(found["kind"], found["path"], found["body"])


def copy_of_the_repository(folder: Path) -> Path:
    """Return a copy that may be changed."""
    copy = folder / "voltick"
    copy.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=left_out)
        else:
            shutil.copy(source, copy / name)
    return copy


def carry_out(text: str, folder: Path, *, changes_code: bool = True) -> int:
    """Carry out a guide's blocks; fail with what a command said; return how many there were.

    A guide that changes no code runs what is compiled already, not a copy.
    """
    copy = copy_of_the_repository(folder) if changes_code else folder
    code = copy if changes_code else ROOT
    done = 0
    for block in blocks(text):
        if block.path is not None:
            (copy / block.path).parent.mkdir(parents=True, exist_ok=True)
            (copy / block.path).write_text(block.body, "utf-8")
        elif block.kind == "diff":
            _apply(block.body, copy)
        elif block.kind == "sh":
            _run(["bash", "-euo", "pipefail", "-c", block.body], copy, code)
        else:
            continue
        done += 1
    return done


def _apply(diff: str, copy: Path) -> None:
    """Change files by a diff; the old lines of each hunk must stand in its file once."""
    for change in re.split(r"^--- .*\n", diff, flags=re.M)[1:]:
        named, *hunks = re.split(r"^@@.*\n", change, flags=re.M)
        path = copy / named.removeprefix("+++ b/").strip()
        text = path.read_text("utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] != "+")
            new = "".join(line[1:] for line in lines if line[0] != "-")
            assert text.count(old) == 1, f"{path.name}: {text.count(old)} times\n{old}"
            text = text.replace(old, new)
        path.write_text(text, "utf-8")


def _run(command: list[str], folder: Path, code: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**clean_environment({}), "PATH": path, "PYTHONPATH": str(code)}
    ended = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, f"{command[-1]}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
