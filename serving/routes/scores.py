"""Latest scores, their history, and live quality."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator

from schemas.predictions import Prediction
from serving.context import Context, context_of, is_simulated
from serving.http import examples
from serving.http.documents import answers
from serving.http.paths import parameter
from serving.http.problems import ApiError, json_response
from serving.http.views import HistoryResponse, QualityResponse, ScoresResponse, ScoreView
from serving.scores.age import age_of

MAX_SYMBOL = 64  # as in a tick

router = APIRouter(tags=["scores"])

Shared = Annotated[Context, Depends(context_of)]
Symbol = Annotated[
    str,
    BeforeValidator(parameter),
    Path(
        min_length=1,
        max_length=MAX_SYMBOL,
        description="Pair as the feed names it, such as `BTC-USD`; a slash may be escaped or not.",
    ),
]
Target = Annotated[
    str | None, Query(description="Target; by default the first that is configured.")
]


@router.get("/scores", responses=answers(ScoresResponse, examples.SCORES, 503))
async def all_scores(context: Shared) -> Response:
    """Return the latest prediction of every symbol."""
    predictions = await context.scores.all_latest()
    views = [view_of(prediction, context) for prediction in predictions]
    return json_response(ScoresResponse(views, is_simulated(predictions, context.clock_ns())))


# Before the route of the score, whose symbol could hold the word.
@router.get(
    "/scores/{symbol:path}/history", responses=answers(HistoryResponse, examples.HISTORY, 404, 503)
)
async def history(
    context: Shared,
    symbol: Symbol,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most points to return.")] = 300,
) -> Response:
    """Return sampled predictions of one symbol, oldest first."""
    points = await context.scores.history(symbol, limit)
    if points is None:
        raise unknown_symbol(symbol)
    return json_response(HistoryResponse(symbol, points))


@router.get("/scores/{symbol:path}", responses=answers(ScoreView, examples.SCORE, 404, 503))
async def score(context: Shared, symbol: Symbol) -> Response:
    """Return the latest prediction of one symbol, with its age."""
    prediction = await context.scores.latest(symbol)
    if prediction is None:
        raise unknown_symbol(symbol)
    return json_response(view_of(prediction, context))


@router.get("/quality", responses=answers(QualityResponse, examples.QUALITY, 404, 503))
async def quality(
    context: Shared,
    target: Target = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most points to return.")] = 100,
) -> Response:
    """Return how well each model did on what really happened, oldest first.

    Empty until the truth about the first predictions is known.
    """
    name = context.known_target(target)
    return json_response(QualityResponse(name, await context.scores.quality(name, limit)))


def view_of(prediction: Prediction, context: Context) -> ScoreView:
    """Return a prediction with its age now."""
    now_ns = context.clock_ns()
    age = age_of(prediction.ts_scored_ns, now_ns)
    return ScoreView(
        **{name: getattr(prediction, name) for name in _FIELDS},
        age_ms=age.age_ms,
        event_age_ms=age_of(prediction.ts_event_ns, now_ns).age_ms,
        stale=age.is_stale(context.settings.stale_after_s),
        clock_ahead_ms=age.ahead_ms,
    )


def unknown_symbol(symbol: str) -> ApiError:
    """Return the error for a symbol that has no score."""
    return ApiError(404, "unknown_symbol", f"no score of {symbol!r}; GET /scores lists the symbols")


_FIELDS = tuple(field.name for field in msgspec.structs.fields(Prediction))
