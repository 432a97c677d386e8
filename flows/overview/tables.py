"""An overview as tables for a terminal."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.host.terminal import PlainTable, visible_text
from flows.numeric.text import plain_number
from flows.numeric.time import NS_PER_S
from flows.overview.model import HealthView, Overview

_MOST_SYMBOLS = 12
_STATES = {"ok": "bold green", "unavailable": "bold red"}
_DRIFTS = {"stable": "green", "drift": "yellow", "misfit": "red"}


def as_tables(overview: Overview) -> Group:
    """Return the whole overview, what could not be asked last."""
    parts: list[RenderableType] = [_head(overview)]
    for table in (_topics(overview), _groups(overview), _models(overview), _symbols(overview)):
        if table.row_count:
            parts += [Text(), table]
    parts += [visible_text(f"not known: {each}", style="yellow") for each in overview.problems]
    return Group(*parts)


def _head(overview: Overview) -> Text:
    at = datetime.fromtimestamp(overview.ts_ns // NS_PER_S, UTC)
    health: HealthView = overview.health
    text = Text(f"{at:%Y-%m-%d %H:%M:%S} UTC  ")
    text.append(health.status, style=_STATES.get(health.status, "bold yellow"))
    if health.failing:
        text.append_text(visible_text(f"  failing: {', '.join(health.failing)}", style="red"))
    for warning in health.warnings:
        text.append("\n").append_text(visible_text(f"warning: {warning}", style="yellow"))
    return text


def _table(title: str, *columns: str) -> Table:
    table = PlainTable(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _topics(overview: Overview) -> Table:
    table = _table("Topics", "topic", "partitions", "messages", "per second")
    for topic in overview.topics:
        rate = "" if topic.rate_hz is None else f"{topic.rate_hz:,.1f}"
        table.add_row(topic.name, str(topic.partitions), f"{topic.messages:,}", rate)
    return table


def _groups(overview: Overview) -> Table:
    table = _table("Lag", "flow", "reads", "partition", "behind", "owner")
    for group in overview.groups:
        for partition, lag in sorted(group.lag.items()):
            owner = group.owners.get(partition, "")
            table.add_row(group.name, group.topic, str(partition), f"{lag:,}", owner)
    return table


def _models(overview: Overview) -> Table:
    columns = ("model", "target", "role", "judged", "figure", "live", "offline", "drift")
    table = _table("Models", *columns)
    for each in overview.models:
        numbers = ["" if value is None else f"{value:.3g}" for value in (each.live, each.offline)]
        judged = "" if each.judged is None else f"{each.judged:,}"
        drift = Text(each.drift or "", style=_DRIFTS.get(each.drift or "", ""))
        shown = (each.model, each.target, each.role, judged, each.figure or "")
        table.add_row(*shown, *numbers, drift)
    return table


def _symbols(overview: Overview) -> Table:
    table = _table("Newest scores", "symbol", "venue", "age", "price", "scores")
    for each in overview.symbols[:_MOST_SYMBOLS]:
        scores = ", ".join(f"{target} {score:.3g}" for target, score in each.scores.items())
        table.add_row(
            each.symbol, each.venue, f"{each.age_s:.1f} s", plain_number(each.price), scores
        )
    return table
