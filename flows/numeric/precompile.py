"""``python -m flows.numeric.precompile MODULE:FUNCTION ...``: compile kernels into the cache."""

import os
import pkgutil
import sys
import threading

from flows.host.processes import lower_priority

LOWER_PRIORITY = 15
"""Enough to leave a busy core to ticks and to a first training, and to get on beside them."""


EXAMPLE = """Example:
python -m flows.numeric.precompile flows.features.kernel:feature_kernel
"""

CHILD = "--child"
"""First argument of a child: it makes way for its parent, and ends with it."""


def main(names: list[str]) -> None:
    """Compile kernels, each named by the function that returns it."""
    if set(names) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n\n{EXAMPLE}\n")
        return
    if names[:1] == [CHILD]:
        del names[0]
        lower_priority(0, LOWER_PRIORITY)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in names:
        pkgutil.resolve_name(name)().compile()


def _end_with_parent() -> None:
    """End where standard input ends, which the parent holds open.

    By the descriptor: a thread that waits inside ``sys.stdin`` holds its lock, and an interpreter
    that ends meanwhile aborts.
    """
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
