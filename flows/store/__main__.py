"""``python -m flows.store``."""

from flows.host.command import run_command
from flows.host.temporary import find_place_for_temporary_files
from flows.store.cli import app

if __name__ == "__main__":
    find_place_for_temporary_files()
    run_command(app)
