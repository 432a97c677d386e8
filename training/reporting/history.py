"""History of continuous training: one JSON line per run, appended to a file."""

import os
from pathlib import Path
from typing import Any

import msgspec

from flows.errors import TrainingError
from training.reporting.encoding import encode_json


class MetricsHistory:
    """An append-only file.

    Parameters
    ----------
    path
        ``.ndjson``; its folder is made at the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: dict[str, Any]) -> None:
        """Add one run; the line is on disk when this returns.

        Raises
        ------
        TrainingError
            The file cannot be written.
        """
        line = encode_json(entry) + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            msg = f"cannot write the metrics history {self.path}: {error.strerror}"
            raise TrainingError(msg) from None

    def read(self) -> list[dict[str, Any]]:
        """Return all runs, oldest first; a line cut by a kill is left out."""
        if not self.path.exists():
            return []
        entries: list[dict[str, Any]] = []
        for line in self.path.read_bytes().splitlines():
            try:
                entries.append(msgspec.json.decode(line))
            except msgspec.DecodeError:
                continue
        return entries

    def reset(self) -> None:
        """Delete the history."""
        self.path.unlink(missing_ok=True)
