"""When to kill: a seeded plan that goes through every kind of moment before repeating one."""

import random
from dataclasses import dataclass

from tests.proof.killable import POINTS


@dataclass(frozen=True)
class Moment:
    """How one life of the pipeline ends.

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


def plan(seed: int, kills: int, partitions: int = 4) -> list[Moment]:
    """Return moments that together take exactly ``kills`` SIGKILLs, where no fence is faster.

    Each of them comes in a life under load on so many partitions, each with its own producer.
    """
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    moments: list[Moment] = []
    left = kills
    bag: list[str] = []
    while left > 0:
        if not bag:
            bag = list(_KINDS)
            random_.shuffle(bag)
        moment = _moment(random_, bag.pop(), partitions)
        if moment.kills <= left:
            moments.append(moment)
            left -= moment.kills
    return moments


def naps(seed: int, count: int) -> list[float]:
    """Return for how long processes are paused, 1 to 60 s each."""
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    return [random_.uniform(1.0, 60.0) for _ in range(count)]


def _moment(random_: random.Random, kind: str, partitions: int) -> Moment:
    if kind in POINTS:
        longest = _LONGEST_PASSES.get(kind, partitions)
        return Moment("call", kind, random_.randint(1, longest))
    longest_s = {"run": 1.5, "start": 4.0, "overlap": 3.0}[kind]
    return Moment(kind, after_s=random_.uniform(0.0, longest_s))
