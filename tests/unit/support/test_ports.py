"""Two test runs on one machine are never given the same port."""

import subprocess
import sys

from tests.support.polling import free_ports

COUNT = 40
OTHER = f"from tests.support.polling import free_ports; print(*free_ports({COUNT})); input()"


def test_ports_of_this_process_are_given_to_no_other() -> None:
    # Where each process begins depends on its number: ask for enough to reach the other's.
    mine = set(free_ports(COUNT))
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        mine |= set(free_ports(COUNT))
        other.communicate("\n")
    assert len(theirs) == COUNT
    assert len(mine) == 2 * COUNT
    assert not mine & theirs


def test_no_port_is_given_twice() -> None:
    ports = free_ports(COUNT)
    assert len(set(ports)) == COUNT
