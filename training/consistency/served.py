"""What was served, as columns: some bytes for each message, whatever the topic holds."""

from array import array
from dataclasses import dataclass, field

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int8, Int32, Int64

NO_DECISION = -1


class ServedOffsets:
    """The offsets of one partition that must have an output, and which of them have it.

    Parameters
    ----------
    offsets
        int64, rising.
    """

    def __init__(self, offsets: Int64) -> None:
        self._offsets = offsets
        self._served: Bool = np.zeros(len(offsets), np.bool_)

    def __len__(self) -> int:
        return len(self._offsets)

    def row(self, offset: int) -> int | None:
        """Return the place of an offset; None where no output is expected of it."""
        at = int(np.searchsorted(self._offsets, offset))
        return at if at < len(self._offsets) and self._offsets[at] == offset else None

    def serve(self, row: int) -> bool:
        """Mark a row as served; return whether it was not yet."""
        first = not self._served[row]
        self._served[row] = True
        return first

    def was_served(self, row: int) -> bool:
        """Return whether a row is marked."""
        return bool(self._served[row])

    def missing(self) -> list[int]:
        """Return the offsets that were not served, rising."""
        found: list[int] = self._offsets[~self._served].tolist()
        return found

    def count(self) -> int:
        """Return how many rows were served."""
        return int(np.count_nonzero(self._served))


@dataclass(slots=True)
class ServedScores:
    """What one model was said to have scored.

    ``decision`` is 1 or 0, ``NO_DECISION`` for none; ``champion`` tells it from a shadow's score.
    """

    _partition: "array[int]" = field(default_factory=lambda: array("i"))
    _row: "array[int]" = field(default_factory=lambda: array("q"))
    _score: "array[float]" = field(default_factory=lambda: array("d"))
    _decision: "array[int]" = field(default_factory=lambda: array("b"))
    _champion: "array[int]" = field(default_factory=lambda: array("b"))

    def __len__(self) -> int:
        return len(self._row)

    def add(
        self, partition: int, row: int, score: float, decision: bool | None, *, champion: bool
    ) -> None:
        """Add a score of a partition's row."""
        self._partition.append(partition)
        self._row.append(row)
        self._score.append(score)
        self._decision.append(NO_DECISION if decision is None else int(decision))
        self._champion.append(int(champion))

    def of(self, partition: int) -> tuple[Int64, Float64, Int8, Bool]:
        """Return a partition's rows, scores, decisions and which are a champion's, shape (n,)."""
        partitions: Int32 = np.array(self._partition, np.int32)
        own = partitions == partition
        return (
            np.array(self._row, np.int64)[own],
            np.array(self._score, np.float64)[own],
            np.array(self._decision, np.int8)[own],
            np.array(self._champion, np.int8)[own] == 1,
        )
