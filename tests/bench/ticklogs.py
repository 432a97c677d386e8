"""Simulated ticks as training meets them: columns in memory, a recording, a Parquet file."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import TickBatch
from flows.feeds.base import Frame
from flows.feeds.capture import FORMAT, CaptureWriter, Header
from flows.feeds.simulator.market import Market, TickColumns, symbol_names
from flows.feeds.simulator.parse import VENUE
from schemas.ticks import Tick

START_NS = 1_700_000_000_000_000_000
# A million ticks are then some three hours: labels over the next minute, memory of an hour.
RATE_HZ = 100.0
SEED = 11


class Made:
    """A market's first ticks, drawn once, in every form."""

    def __init__(self, tick_count: int, symbol_count: int) -> None:
        self._market = Market(
            symbol_names(symbol_count), rate_hz=RATE_HZ, seed=SEED, start_ns=START_NS
        )
        self._parts: list[TickColumns] = []
        left = tick_count
        while left > 0:
            part = self._market.advance(self._market.chunk_s)
            self._parts.append(part.part(0, min(left, len(part))))
            left -= len(self._parts[-1])

    def batch(self) -> TickBatch:
        """Return all of them as the kernel takes them."""
        whole = self._whole()
        count = len(whole)
        return TickBatch(
            partition=0,
            offset=np.arange(count, dtype=np.int64),
            symbol_id=whole.symbol.astype(np.int32),
            ts_event_ns=whole.ts_event_ns,
            price=whole.price,
            size=whole.size,
            side=whole.side.astype(np.int8),
            bid=whole.bid,
            ask=whole.ask,
            bid_size=whole.bid_size,
            ask_size=whole.ask_size,
            trade_id=whole.trade_id,
            gap=np.zeros(count, np.bool_),
            ticks=[],
        )

    def recording(self, path: Path) -> Path:
        """Write them as a recording of the simulator's frames."""
        encode = msgspec.json.Encoder().encode
        header = Header(format=FORMAT, venue=VENUE, source="benchmark", marked=True)
        with CaptureWriter(path, header) as writer:
            for tick in self._ticks():
                writer.write(Frame(tick.ts_recv_ns, encode(tick).decode()))
        return path

    def parquet(self, path: Path) -> Path:
        """Write them as a Parquet file of ticks."""
        whole = self._whole()
        columns = {each.name: pa.array(getattr(whole, each.name)) for each in fields(whole)}
        names = pa.array(self._market.symbols)
        columns["symbol"] = pa.DictionaryArray.from_arrays(columns["symbol"], names)
        columns["venue"] = pa.repeat(pa.scalar(VENUE), len(whole))
        columns["ts_recv_ns"] = columns["ts_event_ns"]
        pq.write_table(pa.table(columns), path, compression="zstd")
        return path

    def _ticks(self) -> Iterator[Tick]:
        for part in self._parts:
            yield from self._market.ticks(part)

    def _whole(self) -> TickColumns:
        return TickColumns(
            *(
                np.concatenate([getattr(part, each.name) for part in self._parts])
                for each in fields(TickColumns)
            )
        )
