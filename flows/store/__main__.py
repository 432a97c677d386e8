"""``python -m flows.store``."""

import sys

from flows.errors import VoltickError
from flows.host.temporary import find_place_for_temporary_files
from flows.store.cli import app


def main() -> None:
    """Run the command line; an error the operator can act on is one line."""
    find_place_for_temporary_files()
    try:
        app()
    except VoltickError as error:
        sys.stderr.write(f"voltick: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
