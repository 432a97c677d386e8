"""A symbol over time: what charts are drawn from."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from flows.numeric.time import NS_PER_S
from serving.context import Context, context_of
from serving.http import examples
from serving.http.documents import answers
from serving.http.problems import json_response
from serving.http.series_views import BackfillResponse, SeriesResponse
from serving.routes.scores import Symbol, Target, unknown_symbol
from serving.series.buckets import SPAN_S
from serving.series.store import Asked

router = APIRouter(tags=["scores"])

Shared = Annotated[Context, Depends(context_of)]


@router.get("/series/{symbol:path}", responses=answers(SeriesResponse, examples.SERIES, 404, 503))
async def series(
    context: Shared,
    symbol: Symbol,
    target: Target = None,
    seconds: Annotated[
        int, Query(ge=1, le=SPAN_S, description="Time before the symbol's newest event.")
    ] = 900,
    step_s: Annotated[int, Query(ge=1, le=600, description="Seconds in one entry.")] = 1,
    after: Annotated[
        int, Query(ge=0, le=2**53, description="`revision` of the last answer: only what is new.")
    ] = 0,
) -> Response:
    """Return ticks, scores and outcomes of one symbol by steps of time, oldest first.

    They are read from Kafka as long as somebody asks; the first answer may not be `complete` yet.
    """
    name = context.known_target(target)
    models = (await asyncio.to_thread(context.models.current)).by_target.get(name)
    manifest = None if models is None else models.champion.manifest
    asked = Asked(
        target=name,
        seconds=seconds,
        step_s=step_s,
        after=after,
        kind=None if manifest is None else manifest.target.kind,
        threshold=None if manifest is None else manifest.threshold,
    )
    found = await context.series.read(symbol, asked)
    if found is None:
        raise unknown_symbol(symbol)
    return json_response(found)


@router.get("/backfill/{symbol:path}", responses=answers(BackfillResponse, examples.BACKFILL, 503))
async def backfill(context: Shared, symbol: Symbol) -> Response:
    """Return the minute bars that the venue's REST gave for the hour before a live feed's start.

    For charts alone: no score, feature or model comes from them. Empty where there are none.
    """
    found = await context.scores.backfill(symbol)
    if found is None:
        return json_response(BackfillResponse(symbol=symbol))
    bars = found.bars
    return json_response(
        BackfillResponse(
            symbol=symbol,
            venue=found.venue,
            interval_s=found.interval_s,
            ts_s=[bar.ts_open_ns // NS_PER_S for bar in bars],
            open=[bar.open for bar in bars],
            high=[bar.high for bar in bars],
            low=[bar.low for bar in bars],
            close=[bar.close for bar in bars],
            volume=[bar.volume for bar in bars],
        )
    )
