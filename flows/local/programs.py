"""The product's own commands as children of the launcher."""

import contextlib
import os
import sys
from pathlib import Path

import psutil

from flows.local.child import Child, Rank
from flows.local.supervisor import Supervisor
from flows.settings import Settings

# The lowest priority there is on POSIX: whatever scores ticks goes first.
LOWEST_PRIORITY = 19


def start_ingest(settings: Settings, supervisor: Supervisor) -> Child:
    """Start the feed; a replay may end without ending the run."""
    return start(settings, supervisor, "feed", ["bytewax.run", "flows.ingest"], essential=False)


def start_api(settings: Settings, supervisor: Supervisor) -> Child:
    """Start the API and live page."""
    return start(settings, supervisor, "api", ["serving"])


def start_pipeline(settings: Settings, supervisor: Supervisor) -> Child:
    """Start the dataflow."""
    return start(settings, supervisor, "pipeline", ["bytewax.run", "flows.pipeline"])


def start(
    settings: Settings,
    supervisor: Supervisor,
    name: str,
    module: list[str],
    *,
    essential: bool = True,
    watched: bool = True,
    log: Path | None = None,
) -> Child:
    """Start ``python -m MODULE...`` with these settings as its environment."""
    # A cluster's or worker's variables are meant for the process that was started with them.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("BYTEWAX_")}
    return supervisor.spawn(
        name,
        [sys.executable, "-m", *module],
        rank=Rank.APPLICATION,
        env={**inherited, **settings.to_env()},
        essential=essential,
        watched=watched,
        log=log,
    )


def lower_priority(child: Child, niceness: int = LOWEST_PRIORITY) -> None:
    """Lower a child's scheduling priority; where that is not allowed, leave it."""
    with contextlib.suppress(psutil.Error):
        psutil.Process(child.pid).nice(niceness)
    # Linux may share time between sessions first, and each child leads one of its own.
    with contextlib.suppress(OSError):
        Path(f"/proc/{child.pid}/autogroup").write_text(str(niceness))
