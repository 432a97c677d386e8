"""State that lives as long as a worker owns its partition."""

from collections.abc import Callable
from typing import Generic, TypeVar

from flows.codec.batch import RawBatch

State = TypeVar("State")


class PerOwnership(Generic[State]):
    """One state per ownership of a partition; what one has learnt, no other sees.

    Parameters
    ----------
    make
        Returns the state with which a partition's ownership begins.
    """

    def __init__(self, make: Callable[[int], State]) -> None:
        self._make = make
        self._states: dict[tuple[int, int], State] = {}

    def of(self, raw: RawBatch) -> State:
        """Return the state that a batch belongs to; after the last one it is forgotten."""
        key = raw.partition, raw.epoch
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = self._make(raw.partition)
        if raw.last:
            del self._states[key]
        return state

    def put(self, raw: RawBatch, state: State) -> None:
        """Replace the state that a batch belongs to."""
        if not raw.last:
            self._states[raw.partition, raw.epoch] = state

    def __len__(self) -> int:
        return len(self._states)
