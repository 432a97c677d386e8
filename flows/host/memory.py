"""Memory that goes back to the system when it is no longer needed."""

import mmap
import sys


def own_pages(size: int) -> mmap.mmap:
    """Return zeroed memory of ``size`` bytes that is mapped for itself, and gone with the object.

    A page costs nothing before it is written to. What the allocator gives instead lies among other
    blocks once a process has freed some large ones, and cannot be given back while these live.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
