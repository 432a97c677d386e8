"""Bars in the archive's folder, one Parquet file a day: each bar once, whatever writes and dies.

    FOLDER/backfill/venue=binance/symbol=BTC-USDT/interval=1m/2026-02-01.parquet

Delivery: exactly once by opening time. A write reads the day, merges and replaces the file in one
step, while it holds the market's lock; so a kill leaves the old day or the new one, and of several
writers none undoes another's work. A lock goes with its process. Blocking: for the disk, and while
another process merges a page into the same market.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.bars.bar import Bar
from flows.bars.span import INTERVALS_S, Span, day_of, days
from flows.errors import ArchiveError
from flows.host.locks import lock_file
from flows.numeric.arrays import Int64

FOLDER = "backfill"

_SUFFIX = ".parquet"
_TIME = "ts_open_ns"
_PRICES = ("open", "high", "low", "close")
SCHEMA = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("venue", pa.string(), nullable=False),
        pa.field(_TIME, pa.int64(), nullable=False),
        pa.field("interval_s", pa.int32(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in _PRICES),
        pa.field("volume", pa.float64()),
        pa.field("quote_volume", pa.float64()),
        pa.field("trade_count", pa.int64()),
        pa.field("taker_buy_volume", pa.float64()),
        pa.field("taker_buy_quote_volume", pa.float64()),
    ]
)
"""Columns of a file: those of a candle where they mean the same, and what venues add."""

_FIELDS = Bar.__struct_fields__


@dataclass(frozen=True, slots=True)
class Market:
    """Whose bars they are.

    Attributes
    ----------
    interval
        One of ``INTERVALS_S``.
    """

    venue: str
    symbol: str
    interval: str

    @property
    def interval_s(self) -> int:
        """Length of a bar."""
        return INTERVALS_S[self.interval]

    def folder(self) -> Path:
        """Return the market's folder, below the archive's."""
        parts = {"venue": self.venue, "symbol": self.symbol, "interval": self.interval}
        named = [f"{name}={quote(value, safe='')}" for name, value in parts.items()]
        return Path(FOLDER, *named)


@dataclass(frozen=True, slots=True)
class Merged:
    """How many bars were new, and how many took the place of others with the same time."""

    new: int
    revised: int


class BarStore:
    """The bars below an archive's folder.

    Parameters
    ----------
    folder
        The archive's; it is made where it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def times(self, market: Market, span: Span) -> Int64:
        """Return the opening times that are stored of a span, int64, shape (n,), rising.

        Raises
        ------
        ArchiveError
            A file is damaged or cannot be read.
        """
        folder = self._folder / market.folder()
        found = [_read(folder / f"{day}{_SUFFIX}", [_TIME]) for day in days(span)]
        columns = [each[_TIME].to_numpy() for each in found if each is not None]
        times = np.concatenate(columns) if columns else np.empty(0, np.int64)
        return np.asarray(times[(times >= span.from_ns) & (times < span.to_ns)], np.int64)

    def count(self, market: Market) -> int:
        """Return how many bars are stored of a market.

        Raises
        ------
        ArchiveError
            See :meth:`times`.
        """
        folder = self._folder / market.folder()
        files = [file for file in sorted(folder.glob(f"*{_SUFFIX}")) if file.name[0] != "."]
        return sum(_count(file) for file in files)

    def read(self, market: Market, day: str) -> list[Bar]:
        """Return the bars of a UTC day by rising time.

        Raises
        ------
        ArchiveError
            See :meth:`times`.
        """
        table = _read(self._folder / market.folder() / f"{day}{_SUFFIX}", list(_FIELDS))
        return [] if table is None else [Bar(**row) for row in table.to_pylist()]

    def merge(self, market: Market, bars: Iterable[Bar]) -> Merged:
        """Store bars; one of a time that is stored already takes its place where it differs.

        Raises
        ------
        ArchiveError
            A file is damaged, or the folder cannot be read or written.
        """
        by_day: dict[str, list[Bar]] = {}
        for bar in bars:
            by_day.setdefault(day_of(bar.ts_open_ns), []).append(bar)
        if not by_day:
            return Merged(0, 0)
        folder = self._folder / market.folder()
        new = revised = 0
        try:
            made = _make_folders(folder)
            with _locked(folder / ".lock"):
                for day, fresh in sorted(by_day.items()):
                    known = {bar.ts_open_ns: bar for bar in self.read(market, day)}
                    added = sum(bar.ts_open_ns not in known for bar in fresh)
                    changed = sum(known.get(bar.ts_open_ns, bar) != bar for bar in fresh)
                    if added or changed:
                        known.update((bar.ts_open_ns, bar) for bar in fresh)
                        _write(folder / f"{day}{_SUFFIX}", _table(market, known))
                    new, revised = new + added, revised + changed
            _sync(made)
        except OSError as error:
            message = (
                f"the archive {self._folder} cannot be written: {error.strerror or error}"
                f" ({error.filename or folder}); what came before is stored, run it again"
            )
            raise ArchiveError(message) from None
        return Merged(new, revised)


def _table(market: Market, bars: dict[int, Bar]) -> pa.Table:
    rows = [bars[at] for at in sorted(bars)]
    columns: dict[str, object] = {
        "symbol": [market.symbol] * len(rows),
        "venue": [market.venue] * len(rows),
        "interval_s": [market.interval_s] * len(rows),
        **{name: list(map(attrgetter(name), rows)) for name in _FIELDS},
    }
    return pa.table([pa.array(columns[each.name], each.type) for each in SCHEMA], schema=SCHEMA)


def _read(file: Path, columns: list[str]) -> pa.Table | None:
    """Return columns of a day; None where nothing of it is stored."""
    try:
        content = file.read_bytes()
        # Not pq.read_table: it would add columns for folders named key=value.
        return pq.ParquetFile(io.BytesIO(content)).read(columns)
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from None


def _count(file: Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except FileNotFoundError:  # removed meanwhile
        return 0
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> ArchiveError:
    cause = error.strerror if isinstance(error, OSError) and error.strerror else error
    return ArchiveError(
        f"{file} cannot be read: {cause}; restore it, or remove it and let flows.backfill ask again"
    )


def _write(file: Path, table: pa.Table) -> None:
    """Replace a file: after a kill it holds the old or the new, and what a kill left is reused."""
    temporary = file.with_name(f".{file.name}.tmp")
    with temporary.open("wb") as out:
        pq.write_table(table, out, compression="zstd")
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
    _sync([file.parent])


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder; return the parents of what was made, whose entries have to be durable."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [each.parent for each in missing]


def _sync(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; wait for it where another process has it."""
    with path.open("ab") as file:
        lock_file(file)
        yield
