"""The messages of one log to its ticks, by the pipeline's own checks."""

from collections import Counter
from collections.abc import Sequence

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.parsed_ticks import TickParser
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Parse, tick_parser_kernel
from schemas.dead_letters import DeadLetter
from schemas.models import Provenance
from schemas.topics import TICKS_RAW
from training.data.ticklog import TickLog, concatenate, provenance_of

MANY_MESSAGES = 1_000_000
"""So many are decoded without compiled code in half the time that compiling takes; the compiled
code is kept for later runs."""


class LogDecoder:
    """Decode a log batch by batch, in its order.

    Parameters
    ----------
    topic
        Where the messages came from, for the dead letters.
    allowed
        See :func:`flows.codec.decode.decode`.

    Attributes
    ----------
    dead
        How many messages were refused, by reason.
    """

    def __init__(self, topic: str = TICKS_RAW, allowed: frozenset[str] = frozenset()) -> None:
        self.dead: Counter[str] = Counter()
        self._topic = topic
        self._allowed = allowed
        self._symbols = SymbolTable()
        self._parser = TickParser(self._form)
        self._batches: list[TickBatch] = []
        self._messages = 0

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def add(self, raw: RawBatch) -> None:
        """Decode a batch; keep its ticks, without the decoded messages."""
        self._messages += len(raw.values)
        batch, letters = decode(raw, self._symbols, self._topic, self._allowed, self._parser)
        self.count(letters)
        batch.ticks.clear()
        if len(batch):
            self._batches.append(batch)

    def add_values(self, values: list[bytes]) -> None:
        """Decode the next messages of a log that has no offsets: it gets them from 0 on."""
        count, first = len(values), self._messages
        offsets = list(range(first, first + count))
        self.add(RawBatch(0, values, offsets, [-1] * count, first + count))

    def count(self, letters: Sequence[DeadLetter]) -> None:
        """Count dead letters, also those that others wrote for this log."""
        self.dead.update(letter.reason.value for letter in letters)

    def log(self, name: str, origin: Provenance, partition: int = 0) -> TickLog:
        """Return all ticks so far as one log.

        Parameters
        ----------
        origin
            Of ticks that are not the simulator's.

        Raises
        ------
        TrainingError
            There are none.
        """
        kind = provenance_of(self._symbols, origin)
        ticks = concatenate(self._batches, partition)
        return TickLog(name, ticks, self._symbols, kind, self.dead.total())

    def _form(self) -> Parse | None:
        kernel = tick_parser_kernel()
        return kernel.compile() if self._messages > MANY_MESSAGES else kernel.load()
