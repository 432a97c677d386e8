"""What a run must have shown, and its tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from tests.proof.system.parts import System
from tests.proof.system.watch import Alert, Use
from tests.support.dashboards import queries

EXPECTED = ("VoltickProcessDown", "VoltickPipelineMissing", "VoltickScoresStale")
"""What the faults must set off: a pipeline and a feed that are away for longer than these wait."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A query of a dashboard, and how many series it gave."""

    dashboard: str
    title: str
    series: int
    may_be_empty: bool


def panels(system: System) -> list[Panel]:
    """Run every query of every panel."""
    return [
        Panel(name, title, len(system.prometheus.query(expression)), "Nothing " in description)
        for name, title, description, expression in queries()
    ]


def failures(system: System, found: Sequence[Panel], alerts: Sequence[Alert]) -> Iterator[str]:
    """Yield what is wrong after a run."""
    for name, process in system.programs.items():
        if not process.running:
            yield f"{name} ended with {process.exit_code}: {process.tail(3)}"
    for name, pid in system.servers.items():
        if not is_alive(pid):
            yield f"the server {name} ended"
    for panel in found:
        if panel.series == 0 and not panel.may_be_empty:
            yield f"no data: {panel.dashboard}, {panel.title}"
    for name in EXPECTED:
        own = [alert for alert in alerts if alert.name == name]
        if not own:
            yield f"{name} did not fire"
        for alert in own:
            if alert.resolved is None:
                yield f"{name} {alert.job} did not resolve"
    lag = system.prometheus.query("sum(voltick_lag_messages)")
    if not lag or float(lag[0]["value"][1]) > 1_000:
        yield f"the pipeline has not caught up: {lag}"


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def dashboards_table(found: Sequence[Panel]) -> Iterator[str]:
    """Yield a table of the dashboards, and each panel that is empty."""
    yield "| Dashboard | Queries | With data | Empty |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(panel.dashboard for panel in found):
        own = [panel for panel in found if panel.dashboard == name]
        empty = [_empty(panel) for panel in own if panel.series == 0]
        row = (name, len(own), len(own) - len(empty), "; ".join(empty) or "none")
        yield f"| {' | '.join(map(str, row))} |"


def alerts_table(alerts: Sequence[Alert]) -> Iterator[str]:
    """Yield a table of the alerts, by the time at which they fired."""
    yield "| Alert | Job | Fired after, s | Resolved after, s |"
    yield "|---|---|---|---|"
    for each in alerts:
        resolved = "still firing" if each.resolved is None else f"{each.resolved:.0f}"
        yield f"| {each.name} | {each.job or 'any'} | {each.fired:.0f} | {resolved} |"


def uses_table(uses: Mapping[str, Use], seconds: float) -> Iterator[str]:
    """Yield a table of what each process used."""
    yield "| Process | Memory at the end, MB | At most, MB | Of one core, % |"
    yield "|---|---|---|---|"
    for name, use in uses.items():
        share = 100 * use.cpu_s / seconds
        yield f"| {name} | {use.last_mb:.0f} | {use.most_mb:.0f} | {share:.1f} |"


def _empty(panel: Panel) -> str:
    return f"{panel.title} (nothing is due)" if panel.may_be_empty else panel.title
