"""Whatever runs, overlaps and is killed: the stored bars are those of one clean run."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.bars.backfill import backfill
from flows.bars.bar import Bar, Page
from flows.bars.span import Span
from flows.bars.store import BarStore, Market
from flows.connectors.parquet.storage import LocalStorage
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE

MARKET = Market("binance", "BTC-USDT", "1m")
MINUTE = NS_PER_MINUTE
MINUTES = 60
FIRST_NS = 20_500 * NS_PER_DAY - 30 * MINUTE  # so that midnight lies within


def at(minute: int) -> int:
    return FIRST_NS + minute * MINUTE


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Run:
    """One run: what it asks for, and what happens at its pages.

    Attributes
    ----------
    page_bars
        Most bars of an answer.
    kill_at, kill_in
        The page at which it is killed, and where: before the answer, before or after the file is
        replaced; it lives to its end where there are fewer pages.
    meanwhile
        A run that goes on between the request for its first page and the answer.
    shuffled
        Whether answers are newest first and hold a bar twice.
    """

    first: int
    minutes: int
    page_bars: int
    kill_at: int
    kill_in: str
    refresh: bool
    shuffled: bool
    meanwhile: "Run | None" = None


@dataclass
class FakeVenue:
    """Gives bars out of memory, and does what its run says."""

    run: Run
    bars: Mapping[int, Bar]
    archive: BarStore
    name: str = "binance"
    settle_s: int = 0
    intervals: Mapping[str, str] = field(default_factory=dict)
    reach_days: Mapping[str, int] = field(default_factory=dict)
    pages: int = 0

    @property
    def page_bars(self) -> int:
        return self.run.page_bars

    def symbol(self, text: str) -> str:
        return text

    def close(self) -> None:
        pass

    def fetch(self, symbol: str, interval: str, span: Span) -> Page:
        self.pages += 1
        if self.pages == 1 and self.run.meanwhile is not None:
            do(self.run.meanwhile, self.bars, self.archive)
        if self.pages == self.run.kill_at and self.run.kill_in == "fetch":
            raise Killed
        found = [bar for ts_ns, bar in self.bars.items() if span.from_ns <= ts_ns < span.to_ns]
        return Page([*reversed(found), *found[:1]] if self.run.shuffled else found)


def do(run: Run, bars: Mapping[int, Bar], archive: BarStore) -> None:
    venue = FakeVenue(run, bars, archive)
    whole = LocalStorage.put

    def put(folder: LocalStorage, path: str, content: bytes) -> None:
        if venue.pages == run.kill_at and run.kill_in == "before":
            file = Path(folder.url(path))
            file.with_name(f".{file.name}.tmp").write_bytes(b"PAR1 half")
            raise Killed
        whole(folder, path, content)
        if venue.pages == run.kill_at and run.kill_in == "after":
            raise Killed

    span = Span(at(run.first), at(run.first + run.minutes))
    # What reaches the disk in time is not at stake here, and waiting for it is slow.
    quick = patch.object(os, "fsync")
    with quick, patch.object(LocalStorage, "put", put), suppress(Killed):
        backfill(venue, MARKET, span, archive, lambda: at(10_000), refresh=run.refresh)


def runs(meanwhile: st.SearchStrategy[Run | None]) -> st.SearchStrategy[Run]:
    return st.builds(
        Run,
        first=st.integers(0, MINUTES - 1),
        minutes=st.integers(1, MINUTES),
        page_bars=st.integers(7, 40),
        kill_at=st.integers(1, 6),
        kill_in=st.sampled_from(["fetch", "before", "after", "nowhere"]),
        refresh=st.booleans(),
        shuffled=st.booleans(),
        meanwhile=meanwhile,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


@settings(max_examples=60, deadline=None)
@given(
    known=st.sets(st.integers(0, 2 * MINUTES), min_size=1),
    plan=st.lists(runs(st.none() | runs(st.none())), max_size=4),
)
def test_any_interleaving_of_runs_and_kills_ends_as_one_clean_run(
    known: set[int], plan: list[Run]
) -> None:
    bars = {
        at(minute): Bar(
            ts_open_ns=at(minute), open=2.0, high=3.0, low=1.0, close=2.0 + minute / 1000, volume=1
        )
        for minute in sorted(known)
    }
    last = Run(0, 2 * MINUTES, 13, 0, "nowhere", refresh=False, shuffled=False)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        for run in (*plan, last):
            do(run, bars, BarStore(Path(one)))
        do(last, bars, BarStore(Path(other)))
        assert content(Path(one)) == content(Path(other))
        stored = BarStore(Path(one))
        assert stored.count(MARKET) == len([ts_ns for ts_ns in bars if ts_ns < at(2 * MINUTES)])
