"""Memory that goes back to the system when it is no longer needed."""

import ctypes
import mmap
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

ARENAS = 4

_M_ARENA_MAX = -8  # of glibc's malloc.h
_CHOSEN_BY = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")

# In the system's description of a process's memory: where a mapping begins, that of a file which is
# private and cannot be written to, and how much of it is there, and is not the file's any more.
_EACH = re.compile(r"^(?=[0-9a-f]+-[0-9a-f]+ )", re.MULTILINE)
_HEAD = re.compile(r"(?P<start>[0-9a-f]+)-(?P<stop>[0-9a-f]+) r-[x-]p \S+ \S+ \d+ +(?P<path>/.+)")
_FIELDS = ("Rss", "Anonymous", "Swap")


def own_pages(size: int) -> mmap.mmap:
    """Return zeroed memory of ``size`` bytes that is mapped for itself, and gone with the object.

    A page costs nothing before it is written to. What the allocator gives instead lies among other
    blocks once a process has freed some large ones, and cannot be given back while these live.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def share_arenas() -> bool:
    """Have threads that start from now on share a few arenas of memory; return whether they do.

    glibc gives each new thread an arena of its own, up to eight times the cores. A batch is made by
    one thread and freed by another: what was freed in one arena is of no use to the others, and
    each grows to its own peak. With fewer than these, the threads wait for each other.

    Does nothing without glibc, or where ``MALLOC_ARENA_MAX`` or ``GLIBC_TUNABLES`` is set.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _CHOSEN_BY):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has arenas of another kind
        return False
    return bool(library.mallopt(_M_ARENA_MAX, ARENAS))


def give_back_library(name: str) -> int:
    """Give back the pages of a shared library for now; return how many bytes that were.

    For one that was needed to start. What of it is needed again, the system reads again from the
    file, or takes from the files that it holds in memory. Does nothing but on Linux.

    Parameters
    ----------
    name
        Part of the file's path.
    """
    if sys.platform != "linux":
        return 0
    try:
        smaps = Path("/proc/self/smaps").read_text("utf-8", "replace")
    except OSError:  # the process may not look at itself
        return 0
    library = ctypes.CDLL(None)
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    given = 0
    for mapping in unchanged_mappings(smaps, name):
        if library.madvise(mapping.start, mapping.size, mmap.MADV_DONTNEED) == 0:
            given += mapping.resident
    return given


class Mapping(NamedTuple):
    """A part of a file in this process's memory: address and sizes in bytes."""

    start: int
    size: int
    resident: int


def unchanged_mappings(smaps: str, name: str) -> list[Mapping]:
    """Return the mappings of a file that nobody can write to and that equal the file.

    A library's pages that the loader has put addresses into are told as anonymous: the file does
    not have them.

    Parameters
    ----------
    smaps
        The text of ``/proc/PID/smaps``.
    name
        Part of the file's path.
    """
    found = []
    for text in _EACH.split(smaps):
        head, *rest = text.splitlines() or [""]
        seen = _HEAD.match(head)
        if seen is None or name not in seen["path"]:
            continue
        amounts = dict(line.split(":", 1) for line in rest)
        kept_kb = {field: int(amounts[field].split()[0]) for field in _FIELDS if field in amounts}
        if kept_kb.get("Anonymous") == kept_kb.get("Swap") == 0:
            start, stop = int(seen["start"], 16), int(seen["stop"], 16)
            found.append(Mapping(start, stop - start, kept_kb["Rss"] * 1024))
    return found
