"""When to kill: a seeded plan that goes through every kind of kill point before repeating one."""

import random
from dataclasses import dataclass

from tests.proof.killable import POINTS


@dataclass(frozen=True)
class KillPoint:
    """How one incarnation of the pipeline ends.

    Attributes
    ----------
    kind
        ``call``: by itself at the n-th pass of ``point``. ``start``: from outside, ``after_s``
        after it was started. ``run``: from outside, ``after_s`` after its first commit.
        ``overlap``: a second instance is started beside it, and after ``after_s`` it is killed,
        unless it is fenced by then; the second one is killed after its first commit.
    """

    kind: str
    point: str = ""
    passes: int = 0
    after_s: float = 0.0

    def __str__(self) -> str:
        if self.kind == "call":
            return f"{self.point}:{self.passes}"
        return f"{self.kind} +{self.after_s:.2f} s"

    @property
    def kills(self) -> int:
        """How many SIGKILLs it takes, where no fence is faster."""
        return 2 if self.kind == "overlap" else 1


# Starting takes some seconds, most of it imports; a share of kills falls into each part.
_KINDS = (*POINTS, "run", "run", "start", "overlap")
_LONGEST_PASSES = {
    "rebuild": 3,
    "consume": 60,
    "produce": 60,
    "before_offsets": 25,
    "before_commit": 25,
    "after_commit": 25,
}


def plan(seed: int, kills: int, partitions: int = 4) -> list[KillPoint]:
    """Return kill points that together take exactly ``kills`` SIGKILLs, where no fence is faster.

    Each is reached in an incarnation under load on so many partitions, each with its own producer.
    """
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    kill_points: list[KillPoint] = []
    left = kills
    bag: list[str] = []
    while left > 0:
        if not bag:
            bag = list(_KINDS)
            random_.shuffle(bag)
        kill_point = _kill_point(random_, bag.pop(), partitions)
        if kill_point.kills <= left:
            kill_points.append(kill_point)
            left -= kill_point.kills
    return kill_points


def naps(seed: int, count: int) -> list[float]:
    """Return for how long processes are paused, 1 to 60 s each."""
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    return [random_.uniform(1.0, 60.0) for _ in range(count)]


def _kill_point(random_: random.Random, kind: str, partitions: int) -> KillPoint:
    if kind in POINTS:
        longest = _LONGEST_PASSES.get(kind, partitions)
        return KillPoint("call", kind, random_.randint(1, longest))
    longest_s = {"run": 1.5, "start": 4.0, "overlap": 3.0}[kind]
    return KillPoint(kind, after_s=random_.uniform(0.0, longest_s))
