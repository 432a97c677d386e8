"""The messages of one log to its ticks, by the pipeline's own checks."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.parsed_ticks import TickParser
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Parse, tick_parser_kernel
from flows.feeds.shapes.columns import Columns
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
    symbols
        The log's numbers.
    dead
        How many messages were refused, by reason.
    """

    def __init__(self, topic: str = TICKS_RAW, allowed: frozenset[str] = frozenset()) -> None:
        self.dead: Counter[str] = Counter()
        self._topic = topic
        self._allowed = allowed
        self.symbols = SymbolTable()
        self._parser = TickParser(self._form)
        self._batches: list[TickBatch] = []
        self._messages = 0

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def add(self, raw: RawBatch) -> None:
        """Decode a batch; keep its ticks, without the decoded messages."""
        self._messages += len(raw.values)
        batch, letters = decode(raw, self.symbols, self._topic, self._allowed, self._parser)
        self.count(letters)
        batch.ticks.clear()
        if len(batch):
            self._batches.append(batch)

    def add_values(self, values: list[bytes]) -> None:
        """Decode the next messages of a log that has no offsets: it gets them from 0 on."""
        count, first = len(values), self._messages
        offsets = list(range(first, first + count))
        self.add(RawBatch(0, values, offsets, [-1] * count, first + count))

    @property
    def takes_columns(self) -> bool:
        """Whether no gap mark waits for a tick, which would have to be looked for."""
        return not self.symbols.gap_marks.keys

    def add_columns(self, run: Columns) -> None:
        """Add the next ticks of a log without offsets, which are usable and of known symbols."""
        count = len(run)
        if not count:
            return
        offset = np.arange(self._messages, self._messages + count, dtype=np.int64)
        self._messages += count
        symbol_id = run.symbol_id.astype(np.int32)
        self.symbols.see(symbol_id, offset)
        batch = TickBatch(
            partition=0,
            offset=offset,
            symbol_id=symbol_id,
            ts_event_ns=run.ts_event_ns,
            price=run.price,
            size=run.size,
            side=run.side,
            bid=run.bid,
            ask=run.ask,
            bid_size=run.bid_size,
            ask_size=run.ask_size,
            trade_id=run.trade_id,
            gap=np.zeros(count, np.bool_),
            ticks=[],
        )
        self._batches.append(batch)

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
        kind = provenance_of(self.symbols, origin)
        ticks = concatenate(self._batches, partition)
        return TickLog(name, ticks, self.symbols, kind, self.dead.total())

    def _form(self) -> Parse | None:
        kernel = tick_parser_kernel()
        return kernel.compile() if self._messages > MANY_MESSAGES else kernel.load()
