"""Compute the windowed features of ticks that ``schemas.features`` defines."""

import numpy as np

from flows.codec.batch import NO_TRADE_ID, TickBatch
from flows.features.state import NOTHING_HELD, FeatureState

__all__ = ["NOTHING_HELD", "FeatureState", "warm_up"]


def warm_up() -> None:
    """Compile the kernel, or load it from its cache, by a batch of one tick."""
    one = np.ones(1)
    FeatureState().update(
        TickBatch(
            partition=0,
            offset=np.zeros(1, np.int64),
            symbol_id=np.zeros(1, np.int32),
            ts_event_ns=np.full(1, 1_700_000_000_000_000_000),
            price=one,
            size=one,
            side=np.ones(1, np.int8),
            bid=one,
            ask=one,
            bid_size=one,
            ask_size=one,
            trade_id=np.full(1, NO_TRADE_ID, np.int64),
            gap=np.zeros(1, np.bool_),
            ticks=[],
        )
    )
