"""Which archived ticks the flow takes: :mod:`flows.codec.validity` as a condition of SQL.

An archive keeps every message of its topic. One that the flow refuses has no say in a report: a
price of zero or a time in the far future would be its highest, its lowest, or its whole axis.
"""

from flows.codec.validity import MAX_AHEAD_NS, MAX_BEYOND_LOG_NS
from flows.numeric.time import NS_PER_MS
from schemas.ticks import EARLIEST_NS, LATEST_NS

_INFINITE = "'Infinity'::DOUBLE"
_LOG_NS = (
    f"CASE WHEN log_ts_ms >= {EARLIEST_NS // NS_PER_MS}"
    f" THEN least(log_ts_ms, {LATEST_NS // NS_PER_MS}) * {NS_PER_MS} ELSE -1 END"
)
_RECEIVED_NS = f"CASE WHEN ts_recv_ns >= {EARLIEST_NS} THEN ts_recv_ns ELSE -1 END"
_NEWEST_NS = f"least(greatest({_RECEIVED_NS}, {_LOG_NS}), {LATEST_NS})"

USABLE_TICK = " AND ".join(
    [
        f"price > 0 AND price < {_INFINITE}",
        f"(bid IS NULL OR (bid > 0 AND bid < {_INFINITE}))",
        f"(ask IS NULL OR (ask > 0 AND ask < {_INFINITE}))",
        "coalesce(bid <= ask, true)",
        "coalesce(size, 0) >= 0 AND coalesce(bid_size, 0) >= 0 AND coalesce(ask_size, 0) >= 0",
        f"ts_event_ns BETWEEN {EARLIEST_NS} AND {LATEST_NS}",
        f"({_NEWEST_NS} < 0 OR ts_event_ns <= {_NEWEST_NS} + {MAX_AHEAD_NS})",
        f"({_LOG_NS} < 0 OR ts_event_ns <= {_LOG_NS} + {MAX_BEYOND_LOG_NS})",
    ]
)
