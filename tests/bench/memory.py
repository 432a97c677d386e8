"""The memory of a process, as the system counts it."""

import re
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_mb(pid: int) -> float:
    """Return the most that was resident at once so far, in 10^6 bytes."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text("ascii"))
    if found is None:
        message = f"the system does not tell the peak of process {pid}: it has ended"
        raise ValueError(message)
    return round(int(found[1]) * 1024 / 1e6, 1)
