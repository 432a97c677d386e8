"""A symbol over time: what charts are drawn from."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from serving.context import Context, context_of
from serving.http import examples
from serving.http.documents import answers
from serving.http.problems import json_response
from serving.http.series_views import SeriesResponse
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
