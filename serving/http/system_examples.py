"""Examples of the answers about scores' reasons and about the system."""

from schemas.dead_letters import Reason
from serving.http import system_views as views

_TS_NS = 1_763_719_500_123_000_000
_REF = "gbt-spike@20261121T094500Z-ab12cd34"

EXPLAIN = views.ExplainResponse(
    symbol="BTC-USD",
    target="volatility_spike",
    model="logreg-spike@20261121T094500Z-cd34ab12",
    method="linear",
    link="logit",
    score=0.17,
    base=-2.1,
    partition=2,
    offset=1_204_551,
    ts_event_ns=_TS_NS,
    is_latest=True,
    drift_rows=960,
    inputs=[
        views.Contribution(
            features=["grid_vol_900", "grid_vol_3600"],
            value=0.0011,
            amount=0.51,
            importance=0.04,
            drift=0.06,
        )
    ],
)
DEAD_LETTERS = views.DeadLettersResponse(
    total=1,
    counted=1,
    by_reason={"crossed_book": 1},
    letters=[
        views.DeadLetterView(
            at_ms=_TS_NS // 1_000_000,
            reason=Reason.CROSSED_BOOK,
            detail="bid 64211 is above ask 64210",
            topic="ticks.raw",
            partition=2,
            offset=1_204_550,
            venue=None,
            payload='{"symbol":"BTC-USD","bid":64211,"ask":64210}',
            size=44,
        )
    ],
)
SYSTEM = views.SystemReport(
    feed="recorded or live",
    venues=[
        views.VenueState(
            venue="coinbase-exchange", symbols=2, newest_event_ns=_TS_NS, event_age_ms=180
        )
    ],
    ticks_per_s=41.5,
    gaps=0,
    looked_at=400,
    partitions=[
        views.PartitionState(partition=2, ticks=1_204_552, lag=0, ticks_per_s=41.5, owner=None)
    ],
    latency=[
        views.StageLatency(stage="log to score", count=400, p50_ms=4.1, p90_ms=8.0, p99_ms=14.2)
    ],
    moves=[
        views.SwapMove(
            ts_ns=_TS_NS,
            target="volatility_spike",
            action="champion",
            before=None,
            after=_REF,
            by="api from 127.0.0.1",
        )
    ],
    feeds=[
        views.FeedState(
            feed="coinbase-exchange", venue="coinbase-exchange", reconnects=1, dropped_frames=0
        )
    ],
)
