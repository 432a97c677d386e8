"""Bars in an archive: which of its files hold them, and one interval out of several."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from flows.bars.span import INTERVALS_S
from flows.connectors.parquet.catalog import archived_files
from flows.connectors.parquet.layout import BACKFILL, topic_folder
from flows.connectors.parquet.storage import LocalStorage
from flows.errors import TrainingError
from flows.numeric.arrays import Int64
from schemas import topics
from training.data.files import JSON, PARQUET, TEXT, DataFile, data_files
from training.data.numbers import Decimal
from training.data.tables import Table, floats

_COLUMN = "interval_s"
# Columns of other makers, whose values must be names of intervals.
_NAMED = ("interval", "timeframe", "granularity", "resolution", "period")
NAMES_S = {"1s": 1, **INTERVALS_S}
"""Seconds of an interval by its name."""
_MAX_S = 400 * 86_400  # more than the longest bars, those of a year


def bar_files(path: Path) -> list[DataFile]:
    """Return the files of bars below a path, or the one file.

    Of an archive these are the backfilled ones; where it has none, the candles of its topic.

    Raises
    ------
    TrainingError
        It is an archive without either; see also :func:`training.data.files.data_files`.
    ArchiveError
        The archive's state is damaged.
    """
    if (path / BACKFILL).is_dir():
        return data_files(path / BACKFILL, PARQUET, "bars")
    if any((path / topic_folder(topic)).is_dir() for topic in topics.ARCHIVED):
        storage = LocalStorage(path)
        kept = archived_files(storage, topics.CANDLES)
        if not kept:
            msg = (
                f"the archive {path} has neither bars nor candles: flows.backfill fetches bars;"
                " flows.candles makes candles, which flows.archive keeps"
            )
            raise TrainingError(msg)
        return [DataFile(Path(storage.url(file.path))) for file in kept]
    found = data_files(path, TEXT + PARQUET + JSON, "bars")
    tables = [file for file in found if not file.is_json]
    if tables and len(tables) < len(found):
        # Beside tables, JSON is a note about them.
        stray = [file.name for file in found if file.is_json]
        structlog.get_logger().warning("files passed over", files=stray[:5], count=len(stray))
    return tables or found


def one_interval(table: Table, interval_s: int | None) -> Table | None:
    """Return the rows of one interval, None where a table has none; all of one that tells none.

    Parameters
    ----------
    interval_s
        None where the table has to hold one interval alone.

    Raises
    ------
    TrainingError
        The table holds several intervals and none is asked for.
    """
    intervals = _intervals(table)
    if intervals is None:
        return table
    if interval_s is None:
        found = np.unique(intervals)
        if len(found) > 1:
            known = {seconds: name for name, seconds in NAMES_S.items()}
            shown = ", ".join(known.get(int(each), f"{each} s") for each in found)
            msg = f"{table.file.name} holds bars of {shown}; choose one by --interval"
            raise TrainingError(msg)
        return table
    rows = np.flatnonzero(intervals == interval_s)
    if not len(rows):
        return None
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return replace(table, frame=frame, lines=table.lines[rows])


def _intervals(table: Table) -> Int64 | None:
    """Return each row's interval in seconds, int64; None where no column tells it.

    Raises
    ------
    TrainingError
        A value is no interval; it names the first one.
    """
    for column in table.frame.columns if len(table) else ():
        if str(column).lower() in (_COLUMN, *_NAMED):
            named = table.frame[column].map(NAMES_S)
            if named.notna().all():
                return np.asarray(named.to_numpy(np.int64), np.int64)
    if _COLUMN not in table.frame.columns or table.frame[_COLUMN].isna().all():
        return None
    seconds = floats(table, _COLUMN, Decimal.POINT)
    bad = np.flatnonzero(~((seconds > 0) & (seconds < _MAX_S) & (seconds % 1 == 0)))
    if len(bad):
        raise table.error(int(bad[0]), _COLUMN, "not a whole number of seconds")
    return np.asarray(seconds.astype(np.int64), np.int64)
