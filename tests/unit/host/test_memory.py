"""Pages of one's own are the process's alone and leave it with the object."""

import os

import numpy as np
import psutil

from flows.host.memory import own_pages

SIZE = 64 << 20


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
