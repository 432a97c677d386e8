"""Latest scores, their history, and live quality."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator

from serving.context import Context, context_of, is_simulated
from serving.http import examples
from serving.http.documents import answers
from serving.http.paths import parameter
from serving.http.problems import ApiError, encoded_response, json_response
from serving.http.score_reads import ALL_SCORES, MAX_SYMBOL, ONE_SCORE
from serving.http.views import HistoryResponse, QualityResponse, ScoresResponse, ScoreView
from serving.scores.body import all_bodies

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


@router.get(ALL_SCORES, responses=answers(ScoresResponse, examples.SCORES, 503))
async def all_scores(context: Shared) -> Response:
    """Return the latest prediction of every symbol."""
    entries = await context.latest.entries()
    now_ns = context.clock_ns()
    simulated = is_simulated([entry.prediction for entry in entries], now_ns)
    limit_s = context.settings.stale_after_s
    return encoded_response(all_bodies(entries, now_ns, limit_s, simulated=simulated))


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


@router.get(ONE_SCORE, responses=answers(ScoreView, examples.SCORE, 404, 503))
async def score(context: Shared, symbol: Symbol) -> Response:
    """Return the latest prediction of one symbol, with its age."""
    entry = await context.latest.entry(symbol)
    if entry is None:
        raise unknown_symbol(symbol)
    return encoded_response(entry.body(context.clock_ns(), context.settings.stale_after_s))


@router.get("/quality", responses=answers(QualityResponse, examples.QUALITY, 404, 503))
async def quality(
    context: Shared,
    target: Target = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most points to return.")] = 100,
) -> Response:
    """Return how well each model did on what really happened, oldest first.

    Empty until the truth about the first predictions is known. `drift` compares the last hour's
    features and scores with each model's training.
    """
    name = context.known_target(target)
    points = await context.scores.quality(name, limit)
    return json_response(QualityResponse(name, points, await context.scores.drift(name)))


def unknown_symbol(symbol: str) -> ApiError:
    """Return the error for a symbol that has no score."""
    return ApiError(404, "unknown_symbol", f"no score of {symbol!r}; GET /scores lists the symbols")
