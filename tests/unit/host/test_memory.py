"""Pages leave the process with their object or where told to; so do threads with their arenas."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import psutil
import pytest

from flows.host.memory import ARENAS, Mapping, own_pages, unchanged_mappings

SIZE = 64 << 20
ALLOCATE_IN_THREADS = """
import ctypes, os, sys, threading
from flows.host import memory
done = memory.share_arenas() if sys.argv[1:] else None
library = ctypes.CDLL(None)
all_there = threading.Barrier(8)
def allocate():
    for _ in range(3):
        library.malloc(50_000)
    all_there.wait(30)
threads = [threading.Thread(target=allocate) for _ in range(7)]
for thread in threads:
    thread.start()
all_there.wait(30)
library.malloc_stats()
print(done)
"""

GIVE_BACK = """
import json, re
from pathlib import Path
import llvmlite.binding as llvm
from flows.host.memory import give_back_library

def resident():
    parts = re.split(r"^(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    return sum(int(re.search(r"Rss: +(\\d+)", part)[1]) for part in parts if "libllvmlite" in part)

def parsed():
    return str(llvm.parse_assembly("define i32 @f() { ret i32 7 }"))

first, before = parsed(), resident()
given, after = give_back_library("libllvmlite"), resident()
print(json.dumps([before, given // 1024, after, parsed() == first]))
"""
SMAPS = """\
7f0000000000-7f0000003000 r--p 00000000 fe:00 1                          /opt/a b/lib one.so
Size:                 12 kB
Rss:                   8 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
7f0000003000-7f0000007000 r-xp 00003000 fe:00 1                          /opt/a b/lib one.so
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
7f0000007000-7f0000008000 r--p 00007000 fe:00 1                          /opt/a b/lib one.so
Rss:                   4 kB
Anonymous:             4 kB
Swap:                  0 kB
7f0000008000-7f0000009000 r--p 00008000 fe:00 1                          /opt/a b/lib one.so
Rss:                   0 kB
Anonymous:             0 kB
Swap:                  4 kB
7f0000009000-7f000000a000 rw-p 00009000 fe:00 1                          /opt/a b/lib one.so
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
7f000000a000-7f000000b000 r--s 00009000 fe:00 1                          /opt/a b/lib one.so
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
7f000000a000-7f000000b000 r--p 00009000 fe:00 1                          /opt/a b/lib one.so
Rss:                   4 kB
Anonymous:             0 kB
7f000000b000-7f000000c000 r-xp 00000000 fe:00 2                          /opt/a b/lib two.so
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Rss:                  16 kB
Anonymous:            16 kB
Swap:                  0 kB
"""


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_untouched_pages_cost_nothing_and_touched_ones_go_back() -> None:
    before = resident()
    pages = own_pages(SIZE)
    assert resident() - before < SIZE // 2
    values = np.frombuffer(pages, np.float64)
    assert not values.any()
    values[:] = 1.0
    assert resident() - before > SIZE // 2
    del values, pages
    assert resident() - before < SIZE // 2


def test_a_child_does_not_share_them() -> None:
    pages = own_pages(4096)
    child = os.fork()
    if not child:
        pages[0] = 1
        os._exit(0)
    os.waitpid(child, 0)
    assert pages[0] == 0


def test_only_what_equals_the_file_and_nobody_can_write_to_is_given_back() -> None:
    assert unchanged_mappings(SMAPS, "lib one.so") == [
        Mapping(0x7F0000000000, 12 << 10, 8 << 10),
        Mapping(0x7F0000003000, 16 << 10, 4 << 10),
    ]
    assert unchanged_mappings(SMAPS, "stack") == []
    assert unchanged_mappings("", "lib") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a library's pages")
def test_a_library_that_is_given_back_goes_on_working() -> None:
    before_kb, given_kb, after_kb, works = json.loads(output_of(GIVE_BACK).stdout)
    assert given_kb > before_kb // 2
    assert after_kb < before_kb - given_kb // 2
    assert works


def output_of(
    program: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    }
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def arenas_of_eight_threads(*arguments: str, **environment: str) -> tuple[int, str]:
    """Return how many arenas a process has whose threads allocate, and what it printed."""
    ended = output_of(ALLOCATE_IN_THREADS, *arguments, **environment)
    return ended.stderr.count("Arena "), ended.stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="such arenas are glibc's")
def test_threads_share_arenas_where_they_are_told_to_and_nobody_chose_otherwise() -> None:
    assert arenas_of_eight_threads()[0] > ARENAS
    assert arenas_of_eight_threads("share") == (ARENAS, "True")
    arenas, done = arenas_of_eight_threads("share", MALLOC_ARENA_MAX="6")
    assert (arenas > ARENAS, done) == (True, "False")
