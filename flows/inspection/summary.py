"""A check's report as tables for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.host.terminal import PlainTable, visible_text
from flows.inspection.findings import CheckReport, Quantiles

_MOST_SERIES = 20


def as_tables(report: CheckReport) -> Group:
    """Return the whole report, what is wrong last."""
    parts: list[RenderableType] = [_head(report)]
    if report.series:
        parts += [Text(), _series(report)]
    if report.labels:
        shown = ", ".join(f"{label} {count:,}" for label, count in report.labels.items())
        parts.append(visible_text(f"by reason: {shown}"))
    for error in report.errors:
        parts.append(visible_text(f"{error.reason}: {error.count:,}", style="red"))
        parts += [
            visible_text(f"  {each['partition']}-{each['offset']}: {each['detail']}", style="red")
            for each in error.examples
        ]
    parts += [visible_text(f"note: {each}", style="yellow") for each in report.notes]
    parts += [visible_text(f"wrong: {each}", style="bold red") for each in report.wrong]
    if report.ok:
        parts.append(visible_text(f"{report.topic}: nothing is wrong", style="green"))
    return Group(*parts)


def _head(report: CheckReport) -> Table:
    table = PlainTable(box=None, show_header=False)
    by_partition = ", ".join(f"{each}: {count:,}" for each, count in report.partitions.items())
    rows = {
        "topic": report.topic,
        "messages": f"{report.messages:,} in {report.seconds:.1f} s ({by_partition or 'none'})",
        "rate": f"{report.rate_hz:,.1f} messages/s, {report.bytes_per_s / 1024:,.1f} KiB/s",
        "size": _shown(report.size_bytes, "bytes"),
        "event to here": _shown(report.event_lag_ms, "ms"),
        "symbols": f"{report.symbols:,}",
        "gaps": f"{report.gaps:,}",
        "late": f"{report.late:,} by up to a minute; {report.restarts:,} jumps of time",
        "duplicates": f"{report.duplicates:,}",
        "not the topic's": f"{sum(each.count for each in report.errors):,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for group in report.groups:
        table.add_row(f"lag of {group.group}", f"{group.messages:,} messages")
    return table


def _series(report: CheckReport) -> Table:
    columns = ("symbol", "messages", "per s", "late", "gaps", "duplicates", "newest", "partition")
    table = PlainTable(*columns, box=None)
    for column in table.columns[1:6]:
        column.justify = "right"
    for each in report.series[:_MOST_SERIES]:
        name = " ".join(filter(None, (each.symbol, each.venue, each.interval)))
        table.add_row(
            name,
            f"{each.messages:,}",
            f"{each.rate_hz:,.1f}",
            f"{each.late + each.restarts:,}",
            f"{each.gaps:,}",
            f"{each.duplicates:,}",
            each.newest or "",
            ",".join(map(str, each.partitions)),
        )
    if len(report.series) > _MOST_SERIES:
        table.add_row(f"and {len(report.series) - _MOST_SERIES:,} more; see --json")
    return table


def _shown(values: Quantiles, unit: str) -> str:
    if values.p50 is None or values.p95 is None or values.most is None:
        return "none"
    return f"p50 {values.p50:,.0f}, p95 {values.p95:,.0f}, most {values.most:,.0f} {unit}"
