"""How long scoring stood still, from looks at the committed offsets."""

from collections.abc import Collection, Mapping


class Standstill:
    """The longest time for which a partition had input and no commit, of all and of each; pure."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.by_partition_s: dict[int, float] = {}
        self._moved: dict[int, tuple[int, float]] = {}

    def unmoved(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """Return the offsets that are where the last look found them, by partition."""
        return {
            partition: offset
            for partition, offset in offsets.items()
            if partition in self._moved and self._moved[partition][0] == offset
        }

    def look(self, now_s: float, offsets: Mapping[int, int], idle: Collection[int] = ()) -> None:
        """Take a look at the committed offsets, by partition.

        Parameters
        ----------
        idle
            Partitions without anything to commit at this time: they do not stand still.
        """
        for partition, offset in offsets.items():
            known, since_s = self._moved.get(partition, (-1, now_s))
            stood_s = 0.0 if partition in idle else now_s - since_s
            self.longest_s = max(self.longest_s, stood_s)
            self.by_partition_s[partition] = max(self.by_partition_s.get(partition, 0.0), stood_s)
            if offset != known or partition in idle:
                self._moved[partition] = (offset, now_s)
