"""How long scoring stood still, from looks at the committed offsets."""

from collections.abc import Mapping


class Standstill:
    """The longest time for which a partition's commit did not move, of all and of each; pure.

    Under load that reaches every partition all the time: where there is nothing to commit, standing
    still counts all the same.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.by_partition_s: dict[int, float] = {}
        self._moved: dict[int, tuple[int, float]] = {}

    def look(self, now_s: float, offsets: Mapping[int, int]) -> None:
        """Take a look at the committed offsets, by partition."""
        for partition, offset in offsets.items():
            known, since_s = self._moved.get(partition, (-1, now_s))
            stood_s = now_s - since_s
            self.longest_s = max(self.longest_s, stood_s)
            self.by_partition_s[partition] = max(self.by_partition_s.get(partition, 0.0), stood_s)
            if offset != known:
                self._moved[partition] = (offset, now_s)
