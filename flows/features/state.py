"""The features' state of one partition, updated batch by batch.

Python does here what happens seldom (it sizes the arrays and moves rings); the compiled loop in
``kernel`` does what happens for every tick.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from flows.codec.batch import TickBatch
from flows.codec.rows import FeatureRows
from flows.features import layout as at
from flows.features.buffers import Buffers
from flows.features.emit import FACTORS
from flows.features.kernel import Fold, feature_kernel
from flows.features.types import COLUMN_DTYPES, Columns, Memory, Output
from flows.numeric.arrays import Float64, Int64
from flows.numeric.recency import longer_links, new_links
from schemas.features import FEATURES, MAX_SYMBOLS

SMALLEST_REGION = 16
"""Rows of a symbol's first region; a power of two."""

RELEASE_EVERY_TICKS = 1 << 18
"""How often the rings are checked for rows that they no longer need."""

SPARE_FACTOR, SPARE_ROWS = 8, 1024
"""A region shrinks that has more than this many times the rows in use, and more rows than this."""

NOTHING_HELD = 2**63 - 1


class _Ring(NamedTuple):
    """One kind of ring: which buffers hold it, and the columns of state that say what is in it."""

    buffers: int
    start: int
    mask: int
    tail: int
    head: int
    head_is_open: bool


_RINGS = (
    _Ring(0, at.TICK_START, at.TICK_MASK, at.TAIL300, at.HEAD, False),
    _Ring(1, at.RECENT_START, at.RECENT_MASK, at.TAIL60, at.HEAD, False),
    _Ring(2, at.BAR_START, at.BAR_MASK, at.BAR_DROP, at.BAR, True),
    _Ring(3, at.RECENT_BAR_START, at.RECENT_BAR_MASK, at.BTAIL300, at.BAR, True),
)


class FeatureState:
    """The windows over the ticks of one partition, a function of its log alone (see ``layout``).

    Not safe for use by several threads at once.

    Parameters
    ----------
    form
        Returns the form of the kernel to use, asked before each batch; by default the compiled
        one, for which this waits. Both forms give the same bits, so that they may change.
    max_symbols
        A symbol's memory ends once so many others have had a tick since its last one.
    """

    def __init__(
        self, form: Callable[[], Fold] | None = None, max_symbols: int = MAX_SYMBOLS
    ) -> None:
        self._form = feature_kernel().compile if form is None else form
        self._form()
        self._ints: Int64 = np.zeros((0, at.STATE_INTS), np.int64)
        self._floats: Float64 = np.zeros((0, at.STATE_FLOATS), np.float64)
        self._partition: Int64 = np.zeros(at.PARTITION_INTS, np.int64)
        self._partition[at.LAST_TIME] = at.NO_TIME
        self._partition[at.MAX_RECENT] = max_symbols
        self._links = new_links()
        self._sums: Float64 = np.zeros(at.FINE_SUMS, np.float64)
        self._factors: Float64 = np.zeros(FACTORS, np.float64)
        self._buffers = [
            Buffers(at.TICK_INTS, at.TICK_FLOATS),
            Buffers(0, at.RECENT_FLOATS),
            Buffers(at.BAR_INTS, at.BAR_FLOATS),
            Buffers(0, at.RECENT_BAR_FLOATS),
        ]
        self._ended = 0
        self._ticks_since_release = 0
        self._memory = self._collect()

    @property
    def late(self) -> int:
        """Ticks so far that were older than their symbol's newest."""
        return int(self._partition[at.N_LATE])

    @property
    def duplicates(self) -> int:
        """Ticks so far whose trade id was not above their symbol's newest."""
        return int(self._partition[at.N_DUPLICATES])

    @property
    def gaps(self) -> int:
        """Ticks so far with a gap before them: marked, and their id does not follow the newest."""
        return int(self._partition[at.N_GAPS])

    @property
    def restarts(self) -> int:
        """Ticks so far that jumped too far ahead or back of their symbol's newest."""
        return int(self._partition[at.N_RESTARTS])

    @property
    def crowded_out(self) -> int:
        """Symbols so far whose memory ended for others; each time counts."""
        return int(self._partition[at.N_CROWDED_OUT])

    @property
    def rebuild_from(self) -> int:
        """A run that starts at this offset or an earlier one reaches this state."""
        held = self._ints[:, at.ALIVE] == 1
        anchors = self._ints[held, at.ANCHOR]
        return int(anchors.min()) if len(anchors) else NOTHING_HELD

    @property
    def nbytes(self) -> int:
        """Bytes reserved for the state."""
        rings = sum(each.ints.nbytes + each.floats.nbytes for each in self._buffers)
        return rings + self._ints.nbytes + self._floats.nbytes + self._links.nbytes

    def update(self, batch: TickBatch) -> FeatureRows:
        """Fold a batch of valid ticks, in offset order, into the state; one row for each."""
        n = len(batch)
        columns = Columns._make(
            _plain(getattr(batch, name), dtype)
            for name, dtype in zip(Columns._fields, COLUMN_DTYPES, strict=True)
        )
        out = Output(
            np.empty((n, len(FEATURES)), np.float64),
            np.empty(n, np.uint8),
            np.empty(n, np.float64),
            np.empty(n, np.int64),
        )
        if n:
            self._make_rows(int(columns.symbol_id.max()) + 1)
        run = self._form()
        done = run(self._memory, columns, out, 0)
        while done < n:
            self._make_room(int(columns.symbol_id[done]))
            done = run(self._memory, columns, out, done)
        self._ticks_since_release += n
        ended = int(self._partition[at.N_ENDED])
        if ended != self._ended or self._ticks_since_release > RELEASE_EVERY_TICKS:
            self._ended, self._ticks_since_release = ended, 0
            self._release()
        return FeatureRows(out.rows, out.flags, out.mid, out.ts_effective_ns, self.rebuild_from)

    def _collect(self) -> Memory:
        ticks, recent, bars, recent_bars = self._buffers
        return Memory(
            self._ints,
            self._floats,
            ticks.ints,
            ticks.floats,
            recent.floats,
            bars.ints,
            bars.floats,
            recent_bars.floats,
            self._links,
            self._partition,
            self._sums,
            self._factors,
        )

    def _make_rows(self, symbols: int) -> None:
        """Make the state's arrays long enough for symbols 0 to ``symbols - 1``."""
        have = len(self._ints)
        if symbols <= have:
            return
        rows = max(symbols, 2 * have, 8)
        ints = np.zeros((rows, at.STATE_INTS), np.int64)
        ints[:, [ring.mask for ring in _RINGS]] = -1
        floats = np.zeros((rows, at.STATE_FLOATS), np.float64)
        ints[:have], floats[:have] = self._ints, self._floats
        self._ints, self._floats = ints, floats
        self._links = longer_links(self._links, rows)
        self._memory = self._collect()

    def _make_room(self, symbol: int) -> None:
        """Enlarge those rings of a symbol that might have no room for another tick."""
        state = self._ints[symbol]
        for ring in _RINGS:
            capacity = int(state[ring.mask]) + 1
            if int(state[ring.head] - state[ring.tail]) + 2 > capacity:
                self._resize(symbol, ring, max(2 * capacity, SMALLEST_REGION))
        self._memory = self._collect()

    def _resize(self, symbol: int, ring: _Ring, capacity: int) -> None:
        state = self._ints[symbol]
        if self._buffers[ring.buffers].grows_in_vain(capacity):
            self._compact(ring, room_for=capacity)
        buffers = self._buffers[ring.buffers]
        start, old = int(state[ring.start]), int(state[ring.mask]) + 1
        new_start = buffers.allocate(capacity)
        if old:
            stop = int(state[ring.head]) + (1 if ring.head_is_open else 0)
            buffers.copy_ring(start, old, new_start, capacity, int(state[ring.tail]), stop)
            buffers.free(start, old)
        state[ring.start], state[ring.mask] = new_start, capacity - 1

    def _release(self) -> None:
        """Free the regions of symbols whose memory ended; shrink those that are mostly unused."""
        alive = self._ints[:, at.ALIVE] == 1
        for ring in _RINGS:
            buffers = self._buffers[ring.buffers]
            capacity = self._ints[:, ring.mask] + 1
            for symbol in np.flatnonzero(~alive & (capacity > 0)).tolist():
                state = self._ints[symbol]
                buffers.free(int(state[ring.start]), int(capacity[symbol]))
                state[ring.mask] = -1
                state[ring.head] = state[ring.tail] = 0
            need = self._ints[:, ring.head] - self._ints[:, ring.tail] + 2
            spare = capacity > np.maximum(SPARE_FACTOR * need, SPARE_ROWS)
            for symbol in np.flatnonzero(alive & spare).tolist():
                self._resize(symbol, ring, 1 << int(2 * need[symbol]).bit_length())
            if self._buffers[ring.buffers].mostly_free:
                self._compact(ring)
        self._memory = self._collect()

    def _compact(self, ring: _Ring, room_for: int = 0) -> None:
        """Give a kind of ring new buffers without free rows.

        Parameters
        ----------
        room_for
            Rows of a region that comes next: it, and as many rows again as there are, have room.
        """
        holders = np.flatnonzero(self._ints[:, ring.mask] >= 0)
        capacities = self._ints[holders, ring.mask] + 1
        spare_rows = max(room_for, int(capacities.sum())) if room_for else 0
        self._buffers[ring.buffers], self._ints[holders, ring.start] = self._buffers[
            ring.buffers
        ].compacted(self._ints[holders, ring.start], capacities, spare_rows)


def _plain(column: Any, dtype: np.dtype[Any]) -> Any:
    """Return a column as the kernel takes it: contiguous, writable, of the given type."""
    if column.dtype == dtype and column.flags.c_contiguous and column.flags.writeable:
        return column
    return np.array(column, dtype)
