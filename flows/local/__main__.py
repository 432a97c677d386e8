"""``python -m flows.local``."""

from functools import partial

from flows.host.command import run_command
from flows.local.cli import app

if __name__ == "__main__":
    run_command(partial(app, prog_name="python -m flows.local"))
