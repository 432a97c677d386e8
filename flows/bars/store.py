"""Bars in the archive, one Parquet file a day: each bar once, whatever writes and dies.

    backfill/venue=binance/symbol=BTC-USDT/interval=1m/2026-02-01.parquet

Delivery: exactly once by opening time. A write reads the day, merges and replaces the file in one
step; so a kill leaves the old day or the new one. Of several writers none undoes another's work: in
a folder the market's lock lets one write at a time, and goes with its process; in a bucket a day is
replaced only if it is still the one that was read, and merged anew otherwise. Blocking: for the
storage, and while another process merges a page into the same market.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from flows.bars.bar import Bar
from flows.bars.span import INTERVALS_S, Span, day_of, days
from flows.connectors.parquet.layout import BACKFILL, SUFFIX
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.reading import DAMAGED_PARQUET, open_parquet, row_count
from flows.connectors.parquet.writer import parquet_of
from flows.errors import ArchiveError, FencedError
from flows.numeric.arrays import Int64

_ATTEMPTS = 100
"""To replace a day that another writer replaces, too: each that fails is one of its successes."""

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

    def folder(self) -> str:
        """Return the market's folder, below the archive's."""
        parts = {"venue": self.venue, "symbol": self.symbol, "interval": self.interval}
        named = [f"{name}={quote(value, safe='')}" for name, value in parts.items()]
        return "/".join([BACKFILL, *named])

    def file(self, day: str) -> str:
        """Return the file of a UTC day, below the archive's folder."""
        return f"{self.folder()}/{day}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Merged:
    """How many bars were new, and how many took the place of others with the same time."""

    new: int
    revised: int


class BarStore:
    """The bars of an archive.

    Parameters
    ----------
    place
        The archive's folder, which is made where it does not exist, or ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ArchiveError
        It lies in a bucket, and the client library is not installed.
    """

    def __init__(self, place: str | Path) -> None:
        self._storage = open_storage(place)

    def times(self, market: Market, span: Span) -> Int64:
        """Return the opening times that are stored of a span, int64, shape (n,), rising.

        Raises
        ------
        ArchiveError
            A file is damaged or cannot be read.
        """
        found = [self._read(market.file(day), [_TIME]) for day in days(span)]
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
        files = [path for path, _ in self._storage.files(f"{market.folder()}/")]
        return sum(self._count(path) for path in files if path.endswith(SUFFIX))

    def read(self, market: Market, day: str) -> list[Bar]:
        """Return the bars of a UTC day by rising time.

        Raises
        ------
        ArchiveError
            See :meth:`times`.
        """
        return _bars(self._read(market.file(day), list(_FIELDS)))

    def merge(self, market: Market, bars: Iterable[Bar]) -> Merged:
        """Store bars; one of a time that is stored already takes its place where it differs.

        Raises
        ------
        ArchiveError
            A file is damaged, or the archive cannot be read or written.
        """
        by_day: dict[str, list[Bar]] = {}
        for bar in bars:
            by_day.setdefault(day_of(bar.ts_open_ns), []).append(bar)
        if not by_day:
            return Merged(0, 0)
        with closing(self._storage.take_turn(f"{market.folder()}/.lock")):
            merged = [self._merge_day(market, *each) for each in sorted(by_day.items())]
        return Merged(sum(each.new for each in merged), sum(each.revised for each in merged))

    def _merge_day(self, market: Market, day: str, fresh: list[Bar]) -> Merged:
        """Merge into a day; again, with what another writer has made of it meanwhile."""
        path = market.file(day)
        for attempt in range(_ATTEMPTS):
            found = self._storage.read_version(path)
            content, version = (None, None) if found is None else found
            table = self._table(path, content, list(_FIELDS))
            known = {bar.ts_open_ns: bar for bar in _bars(table)}
            added = sum(bar.ts_open_ns not in known for bar in fresh)
            changed = sum(known.get(bar.ts_open_ns, bar) != bar for bar in fresh)
            if not added and not changed:
                return Merged(0, 0)
            known.update((bar.ts_open_ns, bar) for bar in fresh)
            try:
                self._storage.swap(path, parquet_of(_table(market, known)).to_pybytes(), version)
            except FencedError:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return Merged(added, changed)
        raise AssertionError  # the last attempt returns or raises

    def _read(self, path: str, columns: list[str]) -> pa.Table | None:
        """Return columns of a day; None where nothing of it is stored."""
        return self._table(path, self._storage.read(path), columns)

    def _table(self, path: str, content: bytes | None, columns: list[str]) -> pa.Table | None:
        if content is None:
            return None
        try:
            return open_parquet(content).read(columns)
        except DAMAGED_PARQUET as error:
            raise self._damaged(path, error) from None

    def _count(self, path: str) -> int:
        content = self._storage.read(path)
        if content is None:  # removed meanwhile
            return 0
        try:
            return row_count(content)
        except DAMAGED_PARQUET as error:
            raise self._damaged(path, error) from None

    def _damaged(self, path: str, error: Exception) -> ArchiveError:
        return ArchiveError(
            f"{self._storage.url(path)} cannot be read: {error}; restore it, or remove it and let"
            " flows.backfill ask again"
        )


def _bars(table: pa.Table | None) -> list[Bar]:
    return [] if table is None else [Bar(**row) for row in table.to_pylist()]


def _table(market: Market, bars: dict[int, Bar]) -> pa.Table:
    rows = [bars[at] for at in sorted(bars)]
    columns: dict[str, object] = {
        "symbol": [market.symbol] * len(rows),
        "venue": [market.venue] * len(rows),
        "interval_s": [market.interval_s] * len(rows),
        **{name: list(map(attrgetter(name), rows)) for name in _FIELDS},
    }
    return pa.table([pa.array(columns[each.name], each.type) for each in SCHEMA], schema=SCHEMA)
