"""What is noted while the system runs: memory and processor by process, alerts by time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

from tests.proof.system.parts import System

MB = 1_000_000


@dataclass(slots=True)
class Use:
    """What a process has used; its children are part of it.

    Attributes
    ----------
    most_mb
        Largest resident memory that was seen.
    last_mb
        Newest.
    cpu_s
        Processor time while it was watched, incarnations together.
    """

    most_mb: float = 0.0
    last_mb: float = 0.0
    cpu_s: float = 0.0
    _seen: dict[int, float] = field(default_factory=dict)

    def add(self, memory: int, cpu_s: Mapping[int, float]) -> None:
        """Add a look: resident bytes, and the processor seconds of each process id so far."""
        self.last_mb = memory / MB
        self.most_mb = max(self.most_mb, self.last_mb)
        for pid, seconds in cpu_s.items():
            # What a process used before it was first seen is not counted.
            self.cpu_s += seconds - self._seen.get(pid, seconds)
            self._seen[pid] = seconds


@dataclass(slots=True)
class Alert:
    """When an alert fired, and when it no longer did, seconds from the beginning."""

    name: str
    job: str
    fired: float
    resolved: float | None = None


class Watch:
    """Looks at a system whenever it is told to."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._begun = time.monotonic()
        self.uses: dict[str, Use] = {}
        self.alerts: list[Alert] = []

    @property
    def seconds(self) -> float:
        """Seconds from the beginning."""
        return time.monotonic() - self._begun

    def look(self) -> None:
        """Note everything once."""
        for name, pid in self._system.pids().items():
            self._look_at(name, pid)
        firing = {
            (sample["metric"]["alertname"], sample["metric"].get("job", ""))
            for sample in self._system.prometheus.query('ALERTS{alertstate="firing"}')
        }
        standing = {(each.name, each.job): each for each in self.alerts if each.resolved is None}
        for key, alert in standing.items():
            if key not in firing:
                alert.resolved = self.seconds
        for name, job in sorted(firing - standing.keys()):
            self.alerts.append(Alert(name, job, self.seconds))

    def _look_at(self, name: str, pid: int) -> None:
        memory, spent = 0, {}
        try:
            root = psutil.Process(pid)
            for each in (root, *root.children(recursive=True)):
                times = each.cpu_times()
                memory += each.memory_info().rss
                spent[each.pid] = times.user + times.system
        except psutil.NoSuchProcess:
            return
        self.uses.setdefault(name, Use()).add(memory, spent)
