"""Ask Evidently, which runs in an environment of its own and is handed two Parquet files."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.errors import TrainingError
from flows.monitoring.drift import MUCH
from training import environments
from training.data_quality.rows import Rows

PINS = Path(__file__).with_name("requirements.txt")
SCRIPT = Path(__file__).with_name("evidently_report.py")


@dataclass(frozen=True, slots=True)
class Report:
    """What Evidently made.

    Attributes
    ----------
    html
        A page that needs no network.
    figures
        Its own JSON.
    """

    html: bytes
    figures: dict[str, Any]

    @property
    def psi(self) -> dict[str, float]:
        """Its population stability index by column."""
        found = {}
        for metric in self.figures["metrics"]:
            config = metric["config"]
            if config["type"].endswith(":ValueDrift"):
                found[config["column"]] = float(metric["value"])
        return found


def install(folder: Path) -> None:
    """Make the environment, with the pinned versions; errors as :func:`environments.install`."""
    environments.install(folder, PINS, "Evidently")


def find(folder: Path) -> str:
    """Return the interpreter of the environment.

    Raises
    ------
    TrainingError
        Evidently is not in it.
    """
    if not any(
        Path(environments.inside(folder, f"evidently{end}")).exists() for end in ("", ".exe")
    ):
        message = (
            f"Evidently is not installed in {folder}; python -m training.drift install puts it"
            " there, beside the pinned versions that it needs"
        )
        raise TrainingError(message)
    return environments.inside(folder, "python")


def report(python: str, reference: Rows, current: Rows) -> Report:
    """Compare two sides that have the same columns, each with a defined value.

    Parameters
    ----------
    python
        As of :func:`find`.

    Raises
    ------
    TrainingError
        Evidently fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("reference", "current", "html", "json")]
        for side, place in zip((reference, current), places[:2], strict=True):
            columns = {
                name: pa.array(side.values[:, number], from_pandas=True)
                for number, name in enumerate(side.columns)
            }
            pq.write_table(pa.table(columns), place)
        # Isolated: neither our folder nor our packages are in its way.
        command = [python, "-I", "-W", "ignore", str(SCRIPT), *map(str, places), str(MUCH)]
        done = subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603
        if done.returncode:
            message = "Evidently failed; its own words are above"
            raise TrainingError(message)
        return Report(places[2].read_bytes(), msgspec.json.decode(places[3].read_bytes()))
