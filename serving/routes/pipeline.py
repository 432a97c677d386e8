"""What the pipeline is doing: feeds, partitions, latencies, dead letters."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from schemas.predictions import Prediction
from serving.context import Context, context_of, is_simulated
from serving.http import system_examples
from serving.http.documents import answers
from serving.http.problems import json_response
from serving.http.system_views import (
    DeadLettersResponse,
    FeedState,
    SwapMove,
    SystemReport,
    VenueState,
)
from serving.log import dead_letters, progress
from serving.monitoring.health import feed_of
from serving.scores.age import age_of

router = APIRouter(tags=["system"])

Shared = Annotated[Context, Depends(context_of)]

_FRESH_S = 2.0
_MOVES = 50


@router.get(
    "/dead-letters",
    responses=answers(DeadLettersResponse, system_examples.DEAD_LETTERS, 503),
)
async def newest_dead_letters(
    context: Shared,
    limit: Annotated[int, Query(ge=1, le=500, description="Most letters to return.")] = 20,
) -> Response:
    """Return the newest dead letters with their reasons, read from Kafka."""
    found = await context.reads.run(
        ("dead", limit), _FRESH_S, lambda reader: dead_letters.newest(reader, limit)
    )
    return json_response(found)


@router.get("/system", responses=answers(SystemReport, system_examples.SYSTEM, 503))
async def system(context: Shared) -> Response:
    """Return how far the pipeline is and how long ticks take, from its newest messages."""
    samples = await context.reads.run("system", _FRESH_S, progress.look)
    owners = await asyncio.to_thread(context.owners.current)
    moves = await asyncio.to_thread(context.models.store.moves)
    feeds = await asyncio.to_thread(context.feeds.current)
    predictions = await context.latest.all_latest()
    now_ns = context.clock_ns()
    partitions = [
        progress.partition_state(sample, now_ns / 1e6, owners.get(sample.partition))
        for sample in samples
    ]
    ticks = [tick for sample in samples for tick, _at_ms in sample.ticks.values()]
    simulated = is_simulated(predictions, now_ns) if predictions else None
    report = SystemReport(
        feed=feed_of(simulated),
        venues=_venues(predictions, now_ns),
        ticks_per_s=sum(each.ticks_per_s for each in partitions),
        gaps=sum(tick.gap for tick in ticks),
        looked_at=len(ticks),
        partitions=partitions,
        latency=progress.latencies(samples, context.settings.live_from_ns),
        moves=[
            SwapMove(
                ts_ns=move.ts_ns,
                target=move.target,
                action=move.action,
                before=move.before,
                after=move.after,
                by=move.by,
            )
            for move in moves
            if move.before != move.after
        ][-_MOVES:],
        feeds=[
            FeedState(
                feed=each.feed,
                venue=each.venue,
                reconnects=each.reconnects,
                dropped_frames=each.dropped_frames,
            )
            for each in feeds
        ],
    )
    return json_response(report)


def _venues(predictions: Sequence[Prediction], now_ns: int) -> list[VenueState]:
    newest: dict[str, int] = {}
    counts: dict[str, int] = {}
    for prediction in predictions:
        venue = prediction.venue
        counts[venue] = counts.get(venue, 0) + 1
        newest[venue] = max(newest.get(venue, 0), prediction.ts_event_ns)
    return [
        VenueState(
            venue=venue,
            symbols=counts[venue],
            newest_event_ns=at_ns,
            event_age_ms=age_of(at_ns, now_ns).age_ms,
        )
        for venue, at_ns in sorted(newest.items())
    ]
