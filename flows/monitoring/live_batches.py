"""Which batches' latency is that of the flow, and not of a history that was sent before."""

from flows.codec.outputs import OutputBatch


class LiveBatches:
    """Tell batches of live ticks from those of history, and from those that waited behind it.

    Parameters
    ----------
    live_from_ns
        Event time before which ticks are history, nanoseconds since the UNIX epoch; None where no
        history was sent.
    """

    def __init__(self, live_from_ns: int | None) -> None:
        self._live_from_ns = live_from_ns
        self._caught_up: set[int] = set()

    def holds(self, batch: OutputBatch) -> bool:
        """Return whether a batch, the next of its partition, has ticks that nothing held up."""
        if self._live_from_ns is None or batch.partition in self._caught_up:
            return batch.oldest_ms is not None
        begun = batch.first_event_ns is not None and batch.first_event_ns >= self._live_from_ns
        if begun and batch.caught_up:
            self._caught_up.add(batch.partition)
        return False
