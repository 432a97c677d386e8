"""Write a report: choose markets, draw pages, put them into a PDF and images."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from flows.errors import ArchiveError, ConfigurationError
from flows.host.whole_files import whole_files
from flows.store import contract
from flows.store.report.market_page import market_page
from flows.store.report.series import MarketSeries, count_unusable, read_series
from flows.store.report.style import moment
from flows.store.report.summary_page import archive_line, summary_pages
from flows.store.selection import Selection
from flows.store.snapshot import Snapshot, open_archive, take_snapshot

MOST_PAGES = 60
"""Markets with a page of their own; more have only their line in the table."""

_IMAGE_DPI = 110


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes
    ----------
    images
        One for each page of the PDF.
    markets
        How many the report covers.
    """

    pdf: Path
    images: list[Path]
    markets: int


def write_report(
    archive: str | Path,
    out: Path,
    chosen: Selection | None = None,
    *,
    images: bool = True,
    now: datetime | None = None,
) -> Report:
    """Write a report of an archive as PDF, and each page as PNG beside it.

    Parameters
    ----------
    out
        The PDF; images are named after it. Older ones of the same name go.
    chosen
        Markets and time; all if None.
    now
        When the report is made; the clock's time if None.

    Raises
    ------
    ArchiveError
        The archive cannot be read, or holds no such market.
    ConfigurationError
        The report cannot be written.
    """
    chosen = chosen or Selection()
    snapshot = take_snapshot(open_archive(archive))
    markets = read_series(snapshot, chosen)
    unusable = count_unusable(snapshot, chosen)
    if not markets:
        message = f"the archive {snapshot.name} holds no ticks, candles or bars of what is asked"
        if unusable:
            message += f" but {unusable} ticks that the flow refuses"
        raise ArchiveError(message)
    made = now or datetime.now(UTC)
    footer = f"Voltick, {snapshot.name}, made {made:%Y-%m-%d %H:%M} UTC"
    pages = _pages(markets, unusable, snapshot, footer)
    try:
        return Report(out, _write(pages, out, images, made), len(markets))
    except OSError as error:
        message = f"cannot write the report {out}: {error.strerror or error}"
        raise ConfigurationError(message) from None


def _pages(
    markets: Sequence[MarketSeries], unusable: int, snapshot: Snapshot, footer: str
) -> Iterator[Figure]:
    first_ns = min(each.facts.first_ns for each in markets)
    last_ns = max(each.facts.last_ns for each in markets)
    many = "1 market" if len(markets) == 1 else f"{len(markets)} markets"
    lines = [
        f"{moment(first_ns)} to {moment(last_ns)} UTC; "
        + archive_line(
            sum(each.facts.rows for each in markets),
            sum(
                file.bytes
                for name in (contract.TICKS, contract.CANDLES, contract.BARS)
                for file in snapshot.files[name]
            ),
            sum(each.facts.empty_s for each in markets),
        )
    ]
    if unusable:
        lines[0] += f"; {unusable:,} ticks that the flow refuses are left out"
    drawn = list(markets)
    if len(markets) > MOST_PAGES:
        drawn = sorted(markets, key=lambda each: -each.facts.rows)[:MOST_PAGES]
        lines.append(f"Pages follow for the {MOST_PAGES} markets with the most rows.")
    yield from summary_pages(markets, f"Market data: {many}", lines, footer)
    for series in drawn:
        yield market_page(series, footer)


def _write(pages: Iterator[Figure], out: Path, images: bool, made: datetime) -> list[Path]:
    """Write the pages; the names are taken only when all of them are drawn."""
    out.parent.mkdir(parents=True, exist_ok=True)
    named: list[Path] = []
    details = {"Title": "Voltick market data", "CreationDate": made}
    # In memory: where a disk is full, matplotlib's own end of a file fails in its own way.
    content = io.BytesIO()
    with whole_files() as unfinished:
        with PdfPages(content, metadata=details) as pdf:
            for number, figure in enumerate(pages, 1):
                figure.savefig(pdf, format="pdf")
                if images:
                    named.append(out.with_name(f"{out.stem}-{number:03d}.png"))
                    figure.savefig(unfinished(named[-1]), format="png", dpi=_IMAGE_DPI)
        unfinished(out).write_bytes(content.getbuffer())
        for old in out.parent.glob(f"{_literal(out.stem)}-[0-9][0-9][0-9].png"):
            old.unlink(missing_ok=True)
    return named


def _literal(text: str) -> str:
    """Return a text in which a pattern finds itself alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
