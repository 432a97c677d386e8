"""Whether predictions follow each other without a hole, by their lineage; constant memory."""

from collections import Counter
from collections.abc import Mapping


class Account:
    """Counts what is missing, twice or misplaced where every input has one prediction; pure.

    Attributes
    ----------
    predictions
        How many were entered.
    missing, twice
        Inputs without a prediction, so far, and predictions of inputs that had one already.
    misplaced
        Predictions that are not in the partition of their input.
    """

    def __init__(self) -> None:
        self.predictions = 0
        self.missing = 0
        self.twice = 0
        self.misplaced = 0
        self._next: Counter[int] = Counter()

    def enter(self, place: int, partition: int, offset: int) -> None:
        """Take the next prediction of a partition.

        Parameters
        ----------
        place
            Partition that it lies in.
        partition, offset
            Where its input lies.
        """
        self.predictions += 1
        if place != partition:
            self.misplaced += 1
        wanted = self._next[partition]
        if offset < wanted:
            self.twice += 1
            return
        self.missing += offset - wanted
        self._next[partition] = offset + 1

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Tell whether the last input of every partition has its prediction."""
        return all(self._next[partition] >= end for partition, end in ends.items())

    def close(self, ends: Mapping[int, int]) -> None:
        """Count as missing what should have come up to the end of each partition's input."""
        for partition, end in ends.items():
            self.missing += max(end - self._next[partition], 0)
            self._next[partition] = max(end, self._next[partition])
