"""The store: an archive as tables of DuckDB, for people, programs and notebooks.

``loading`` has the helpers that notebooks import; ``python -m flows.store`` lists, queries and
reports. ``snapshot`` says which files count, ``database`` makes them tables that can only be read.
"""

from flows.store.loading import (
    as_frame,
    count_candles,
    load_bars,
    load_candles,
    load_features,
    load_outcomes,
    load_predictions,
    load_ticks,
)

__all__ = [
    "as_frame",
    "count_candles",
    "load_bars",
    "load_candles",
    "load_features",
    "load_outcomes",
    "load_predictions",
    "load_ticks",
]
