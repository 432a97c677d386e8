"""History of continuous training: one JSON line per run, appended to a file."""

from pathlib import Path
from typing import Any

import msgspec

from flows.errors import TrainingError
from flows.scoring.durable import append_line
from schemas.decoding import decode_or_none
from training.reporting.encoding import encode_json

_ENTRY = msgspec.json.Decoder(dict[str, Any]).decode


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
        """Add one run; the line is on disk when this returns, also behind one cut by a kill.

        Raises
        ------
        TrainingError
            The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.path, encode_json(entry))
        except OSError as error:
            msg = f"cannot write the metrics history {self.path}: {error.strerror}"
            raise TrainingError(msg) from None

    def read(self) -> list[dict[str, Any]]:
        """Return all runs, oldest first; a line cut by a kill is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().splitlines()
        found = (decode_or_none(_ENTRY, line) for line in lines)
        return [entry for entry in found if entry is not None]

    def reset(self) -> None:
        """Delete the history."""
        self.path.unlink(missing_ok=True)
