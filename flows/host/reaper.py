"""End the processes of a run and remove its folders, however its parent ended (stdlib alone).

Runs as a process of its own, in its own session, and holds the read end of a pipe whose write end
the parent alone has. The parent writes lines: ``+PID RANK`` for a started process group,
``-PID`` for one that was reaped, ``dir PATH`` for a scratch folder. When the pipe closes, because
the parent said so or is dead, the groups are ended, highest rank first: SIGTERM, then after a grace
SIGKILL. Those of rank 0 keep everything in memory and have nothing to do at their end: SIGKILL at
once. Then the folders are removed.
"""

import os
import shutil
import signal
import sys
import time

GRACE_S = 3.0
IN_MEMORY = 0
_POLL_S = 0.02


def alive(group: int) -> bool:
    """Return whether a process group has a member; a zombie that was not reaped counts."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of zombies
        return False
    return True


def send(groups: list[int], number: signal.Signals) -> None:
    """Signal process groups that may be gone."""
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue


def end(groups: dict[int, int], grace_s: float = GRACE_S) -> None:
    """End process groups (group id -> rank) rank by rank, the highest first."""
    for rank in sorted(set(groups.values()), reverse=True):
        left = [group for group, its in groups.items() if its == rank]
        if rank != IN_MEMORY:
            left = asked_to_end(left, grace_s)
        send(left, signal.SIGKILL)


def asked_to_end(groups: list[int], grace_s: float) -> list[int]:
    """Send SIGTERM; return those that are still there after a grace."""
    send(groups, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while groups and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        groups = [group for group in groups if alive(group)]
    return groups


def main() -> None:
    """Read the parent's orders until the pipe closes, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        word = line.rstrip("\n")
        if word.startswith("+"):
            group, rank = word[1:].split()
            groups[int(group)] = int(rank)
        elif word.startswith("-"):
            groups.pop(int(word[1:]), None)
        else:
            folders.append(word.removeprefix("dir "))
    end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
