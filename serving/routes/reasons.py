"""Why a score is what it is."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from serving.context import Context, context_of
from serving.explaining.rows import drift_sample, newest_row
from serving.http import system_examples
from serving.http.documents import answers
from serving.http.problems import ApiError, json_response
from serving.http.system_views import ExplainResponse
from serving.routes.scores import Symbol, Target, unknown_symbol

router = APIRouter(tags=["scores"])

Shared = Annotated[Context, Depends(context_of)]

_ROW_FRESH_S = 0.5
_DRIFT_FRESH_S = 60.0


@router.get(
    "/explain/{symbol:path}",
    responses=answers(ExplainResponse, system_examples.EXPLAIN, 404, 503),
)
async def explain(context: Shared, symbol: Symbol, target: Target = None) -> Response:
    """Return what the features of a symbol's newest tick add to its score.

    Exactly, from the model's own coefficients, where it is linear; otherwise what the model rests
    on in general. Needs `ticks.features`.
    """
    name = context.known_target(target)
    latest = await context.latest.latest(symbol)
    if latest is None:
        raise unknown_symbol(symbol)
    model = (await asyncio.to_thread(context.models.serving, name)).champion
    row = await context.reads.run(
        ("row", symbol),
        _ROW_FRESH_S,
        lambda reader: newest_row(reader, symbol, latest.partition, latest.offset),
    )
    if row is None:
        message = (
            f"ticks.features holds no recent row of {symbol!r}; VOLTICK_PUBLISH_FEATURES has to be"
            " on"
        )
        raise ApiError(404, "no_features", message)
    sample = await context.reads.run(
        ("drift", latest.partition),
        _DRIFT_FRESH_S,
        lambda reader: drift_sample(reader, latest.partition),
    )
    found = await asyncio.to_thread(context.explainer.explain, model, row, latest, name, sample)
    return json_response(found)
