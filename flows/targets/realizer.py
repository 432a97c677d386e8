"""Labels for training and outcomes for live quality, computed by the same code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.codec.batch import GAP, LATE, RESTART
from flows.numeric.arrays import Bool, Float64, Int32, Int64, UInt8
from flows.numeric.recency import longer_links, new_links
from flows.targets import layout as at
from flows.targets.lists import add_free_nodes
from flows.targets.realize import Realize, label_kernel
from flows.targets.types import COLUMN_DTYPES, Columns, Memory, Output
from schemas.features import MAX_SYMBOLS
from schemas.models import TargetSpec

_FIRST_NODES = 1024

NOTHING_HELD = 2**63 - 1


@dataclass(frozen=True)
class Realized:
    """Rows whose truth has become known, in that order; each row comes exactly once.

    Every column is NaN where the truth will never be known (a gap, a restart, silence).

    Attributes
    ----------
    number
        int64, shape (k,): the rows, counted from 0 since the realizer was made.
    known_row
        int64, shape (k,): the row of this batch with which it became known.
    ts_known_ns
        int64, shape (k,): that row's effective time.
    ratio
        float64, shape (k,): realized volatility over the horizon by the row's own over the
        lookback; NaN, too, where the lookback has none.
    volatility
        float64, shape (k,): realized volatility over the horizon.
    forward_return
        float64, shape (k,): log return over the horizon.
    rebuild_from
        A run that starts at this offset or an earlier one reaches the state after this batch.
        ``NOTHING_HELD``, which is above any offset, while no symbol is in memory: use the lesser
        of it and the next offset.
    """

    number: Int64
    known_row: Int64
    ts_known_ns: Int64
    ratio: Float64
    volatility: Float64
    forward_return: Float64
    rebuild_from: int

    def __len__(self) -> int:
        return len(self.number)

    def values(self, spec: TargetSpec) -> Float64:
        """Return a target's quantity, float64, shape (k,)."""
        return {
            "relative": self.ratio,
            "absolute": self.volatility,
            "return": self.forward_return,
        }[spec.definition]


class Realizer:
    """Keeps the rows of one partition until their truth is known; a function of its log alone.

    Parameters
    ----------
    horizon_s
        How far ahead the truth lies, seconds of event time.
    lookback_s
        Window of the symbol's own volatility, seconds.
    form
        Returns the form of the kernel to use, asked before each batch; by default the compiled
        one, for which this waits. Both forms give the same bits, so that they may change.
    max_symbols
        A symbol's memory ends once so many others have had a row since its last one.
    """

    def __init__(
        self,
        horizon_s: int = 60,
        lookback_s: int = 3600,
        form: Callable[[], Realize] | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        if horizon_s < 1 or lookback_s < 1:
            message = f"horizon and lookback must be whole seconds, not {horizon_s}, {lookback_s}"
            raise ValueError(message)
        self.horizon_s = horizon_s
        self.lookback_s = lookback_s
        self._form = label_kernel().compile if form is None else form
        self._form()
        partition = np.zeros(at.PARTITION_INTS, np.int64)
        partition[at.FREE] = at.NONE
        partition[at.LAST_TIME] = at.NO_TIME
        partition[at.MAX_RECENT] = max_symbols
        self._memory = Memory(
            np.zeros((0, at.STATE_INTS), np.int64),
            np.zeros((0, at.STATE_FLOATS), np.float64),
            np.zeros((0, at.NODE_INTS), np.int64),
            np.zeros((0, at.NODE_FLOATS), np.float64),
            new_links(),
            partition,
        )
        self._make_nodes(_FIRST_NODES)

    @property
    def pending(self) -> int:
        """Rows whose truth is not known yet."""
        return int(self._memory.partition[at.N_PENDING])

    @property
    def rebuild_from(self) -> int:
        """A run that starts at this offset or an earlier one reaches this state."""
        ints = self._memory.ints
        anchors = ints[ints[:, at.ALIVE] == 1, at.ANCHOR]
        return int(anchors.min()) if len(anchors) else NOTHING_HELD

    def update(
        self,
        offset: Int64,
        symbol_id: Int32,
        ts_event_ns: Int64,
        mid: Float64,
        late: Bool,
        gap: Bool,
        restart: Bool,
    ) -> Realized:
        """Fold rows into the state; return those of which the truth is known now.

        Parameters
        ----------
        offset
            int64, shape (n,), rising; ``rebuild_from`` is one of these.
        symbol_id
            int32, shape (n,): a small number for each symbol.
        ts_event_ns
            int64, shape (n,): event or effective time; a late row takes its symbol's newest time.
        mid
            float64, shape (n,): mid price; a row without one (NaN, a duplicate) is passed over and
            gets no result.
        late, gap, restart
            bool, shape (n,): as the features found.
        """
        given: list[npt.NDArray[Any]]
        given = [offset, symbol_id, ts_event_ns, mid, late, restart, gap]
        columns = Columns._make(
            _plain(column, dtype) for column, dtype in zip(given, COLUMN_DTYPES, strict=True)
        )
        n = len(columns.mid)
        if n:
            self._make_symbols(int(columns.symbol_id.max()) + 1)
        due = self.pending + n
        out = Output(
            np.empty(due, np.int64),
            np.empty(due, np.int64),
            np.empty(due, np.int64),
            np.empty((due, at.QUANTITIES), np.float64),
        )
        self._memory.partition[at.N_OUT] = 0
        run = self._form()
        done = 0
        while True:
            done = run(self._memory, columns, out, done, self.horizon_s, self.lookback_s)
            if done == n:
                break
            self._make_nodes(len(self._memory.links))
        self._memory.partition[at.N_ROWS] += n
        k = int(self._memory.partition[at.N_OUT])
        return Realized(
            out.number[:k].copy(),
            out.known_row[:k].copy(),
            out.ts_known_ns[:k].copy(),
            out.values[:k, at.RATIO].copy(),
            out.values[:k, at.VOLATILITY].copy(),
            out.values[:k, at.RETURN].copy(),
            self.rebuild_from,
        )

    def _make_symbols(self, symbols: int) -> None:
        have = len(self._memory.ints)
        if symbols > have:
            rows = max(symbols, 2 * have, 8)
            self._memory = self._memory._replace(
                ints=_longer(self._memory.ints, rows),
                floats=_longer(self._memory.floats, rows),
                recent=longer_links(self._memory.recent, rows),
            )

    def _make_nodes(self, more: int) -> None:
        have = len(self._memory.links)
        self._memory = self._memory._replace(
            links=_longer(self._memory.links, have + more),
            values=_longer(self._memory.values, have + more),
        )
        add_free_nodes(self._memory.links, self._memory.partition, have)


@dataclass(frozen=True)
class LabelColumns:
    """Labels of one log, one for each row.

    Attributes
    ----------
    value
        float64, shape (n,): the target's quantity; NaN where dropped or not known by the end of
        the log.
    known_at
        int64, shape (n,): index of the row with which it became known, or known to be lost; -1
        where there was none.
    """

    value: Float64
    known_at: Int64


def label_columns(
    symbol_id: Int32, ts_effective_ns: Int64, mid: Float64, flags: UInt8, spec: TargetSpec
) -> LabelColumns:
    """Label every row of one log.

    Parameters
    ----------
    symbol_id, ts_effective_ns, mid, flags
        Shape (n,), as :class:`flows.codec.batch.TickBatch` and the features give them; duplicates,
        whose mid is NaN, get no label.
    """
    n = len(mid)
    form = label_kernel().form_for(n)
    # Symbols that the features forgot for others restart, which drops their labels.
    realizer = Realizer(spec.horizon_s, spec.lookback_s, lambda: form, max_symbols=max(n, 1))
    realized = realizer.update(
        offset=np.arange(n, dtype=np.int64),
        symbol_id=symbol_id,
        ts_event_ns=ts_effective_ns,
        mid=mid,
        late=(flags & LATE) != 0,
        gap=(flags & GAP) != 0,
        restart=(flags & RESTART) != 0,
    )
    value = np.full(n, np.nan)
    known_at = np.full(n, -1, np.int64)
    value[realized.number] = realized.values(spec)
    known_at[realized.number] = realized.known_row
    return LabelColumns(value, known_at)


def quantity(
    spec: TargetSpec, symbol_id: Int32, ts_effective_ns: Int64, mid: Float64, flags: UInt8
) -> Float64:
    """Return ``label_columns(...).value``."""
    return label_columns(symbol_id, ts_effective_ns, mid, flags, spec).value


def truth(values: Float64, spec: TargetSpec) -> Float64:
    """Return what a score is compared with, float64, shape (n,); NaN where the value is.

    1 where the value exceeds the target's level and 0 elsewhere; the value itself for a forecast.

    Raises
    ------
    ValueError
        Where a classification target has no level yet.
    """
    if spec.definition == "return":
        return values
    if spec.level is None:
        message = f"the target {spec.name} has no level: training sets it"
        raise ValueError(message)
    return np.where(np.isnan(values), np.nan, (values > spec.level).astype(np.float64))


def _longer(array: npt.NDArray[Any], rows: int) -> Any:
    """Return a copy with zeros appended."""
    longer = np.zeros((rows, array.shape[1]), array.dtype)
    longer[: len(array)] = array
    return longer


def _plain(column: npt.NDArray[Any], dtype: np.dtype[Any]) -> Any:
    """Return a column as the compiled code takes it: contiguous, writable, of the given type."""
    if column.dtype == dtype and column.flags.c_contiguous and column.flags.writeable:
        return column
    return np.array(column, dtype)
