"""The product's own commands as children of the launcher."""

import os
import sys
from pathlib import Path

from flows.local.child import Child, Rank
from flows.local.supervisor import Supervisor
from flows.settings import Settings


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
