"""Scores on request, by the model that serves."""

from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from schemas.features import FEATURE_SET, FEATURES
from serving.context import Context, context_of
from serving.http import examples
from serving.http.documents import answers, takes
from serving.http.problems import ApiError, json_response
from serving.http.requests import read_body
from serving.http.views import FeaturesResponse, FeatureView, PredictRequest, PredictResponse
from serving.models.predicting import MAX_BODY_BYTES, parse_rows

router = APIRouter(tags=["predict"])

Shared = Annotated[Context, Depends(context_of)]


@router.post(
    "/predict",
    responses=answers(PredictResponse, examples.PREDICT, 400, 404, 408, 413, 415, 422, 503),
    openapi_extra=takes(PredictRequest, examples.PREDICT_REQUEST),
)
async def predict(
    context: Shared,
    request: Request,
    target: Annotated[
        str | None, Query(description="Target; by default the first that is configured.")
    ] = None,
) -> Response:
    """Score feature rows by the target's champion.

    Every row names every feature of `GET /features`; null only where a feature can be undefined.
    Requests are scored one after the other; 503 where too many wait.
    """
    name = context.known_target(target)
    with context.predicting.admitted():
        body = await read_body(request, MAX_BODY_BYTES)
        response = await context.predicting.run(lambda: _score(context, name, body))
    context.metrics.predicted_rows.labels(name).inc(len(response.scores))
    return json_response(response)


@router.get("/features", responses=answers(FeaturesResponse, None))
async def features() -> Response:
    """Return the feature contract: what `POST /predict` takes, in order."""
    views = [
        FeatureView(
            feature.name,
            feature.unit,
            feature.low if abs(feature.low) != float("inf") else None,
            feature.high if abs(feature.high) != float("inf") else None,
            feature.formula,
            bool(feature.undefined),
            feature.undefined,
        )
        for feature in FEATURES
    ]
    return json_response(FeaturesResponse(FEATURE_SET, views))


def _score(context: Context, target: str, body: bytes) -> PredictResponse:
    values = parse_rows(body)
    model = context.models.serving(target).champion
    manifest = model.manifest
    scores = model.score(values)
    broken = np.flatnonzero(~np.isfinite(scores))
    if broken.size:
        message = f"row {broken[0]}: {manifest.ref} has no finite score for such values"
        raise ApiError(422, "unscorable", message, {"rows": broken.tolist()})
    threshold = manifest.threshold
    return PredictResponse(
        scores=scores.tolist(),
        decisions=None if threshold is None else (scores >= threshold).tolist(),
        target=target,
        model=manifest.name,
        version=manifest.version,
        model_variant=manifest.variant,
        feature_set=manifest.feature_set,
        ts=datetime.fromtimestamp(context.clock_ns() / 1e9, tz=UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z"),
    )
