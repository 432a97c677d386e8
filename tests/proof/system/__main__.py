"""``python -m tests.proof.system``: everything runs, things fail, then tables of what was seen."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.proof.needs import require_apache
from tests.proof.system import verdict
from tests.proof.system.faults import DOWN_S, timeline
from tests.proof.system.parts import whole_system
from tests.proof.system.watch import Watch
from tests.support.polling import pause

EXAMPLE = "Example: python -m tests.proof.system --minutes 20"
LOOK_EVERY_S = 2.0

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    minutes: Annotated[float, typer.Option(min=8, help="How long it runs.")] = 20.0,
    train_every: Annotated[str, typer.Option(help="How often each trainer trains.")] = "10m",
) -> None:
    """Run every program beside Prometheus and Alertmanager while things fail.

    The feed is simulated, the broker Apache Kafka. Garbage comes in, the pipeline is killed, the
    broker stops for 20 s, the feed falls silent. Then each query of each dashboard is run.
    Tables go to stdout: dashboards, alerts, and what each process used. Exit code 1 where a panel
    is empty, an alert of the faults did not fire or resolve, or a process ended by itself.
    """
    require_apache()
    folder = Path(tempfile.mkdtemp(prefix="voltick-system-"))
    _say(f"logs and data are in {folder}")
    with whole_system(folder, train_every) as system:
        watch = Watch(system)
        events = timeline(minutes * 60)
        while watch.seconds < minutes * 60:
            while events and events[0].at <= watch.seconds:
                event = events.pop(0)
                _say(f"[{watch.seconds:6.1f} s] {event.what}")
                event.act(system)
            watch.look()
            pause(LOOK_EVERY_S)
        seconds = watch.seconds
        panels = verdict.panels(system)
        wrong = list(verdict.failures(system, panels, watch.alerts))
        tables = (
            verdict.dashboards_table(panels),
            verdict.alerts_table(watch.alerts),
            verdict.uses_table(watch.uses, seconds),
        )
        sys.stdout.write("\n\n".join("\n".join(table) for table in tables) + "\n")
    for each in wrong:
        _say(f"wrong: {each}")
    _say(f"{minutes:g} min, faults of up to {DOWN_S:g} s: {'failed' if wrong else 'passed'}")
    raise typer.Exit(1 if wrong else 0)


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    app()
