"""Health, version and metrics."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from flows.settings import Settings
from schemas.features import FEATURE_SET
from serving.context import Context, context_of
from serving.http import examples
from serving.http.documents import answers, content
from serving.http.problems import RedisUnavailableError, json_response
from serving.http.views import HealthReport, History, ServedModel, VersionReport
from serving.monitoring.health import examine, feed_of

router = APIRouter(tags=["system"])

Shared = Annotated[Context, Depends(context_of)]


def code_version() -> str:
    """Return the installed version, ``unknown`` where the code runs without being installed."""
    try:
        return version("voltick")
    except PackageNotFoundError:
        return "unknown"


@router.get(
    "/health",
    responses={
        **answers(HealthReport, examples.HEALTH),
        503: {"description": "A check fails; the body says which", **content(HealthReport)},
    },
)
async def health(context: Shared) -> Response:
    """Say whether a model is loaded, Kafka and Redis answer, and ticks are fresh."""
    report = await examine(context)
    return json_response(report, 200 if report.status == "ok" else 503)


@router.get("/version", responses=answers(VersionReport, examples.VERSION, 503))
async def version_report(context: Shared) -> Response:
    """Say which code and which models answer, and whether the ticks are simulated."""
    simulated = await context.simulated()
    models = await asyncio.to_thread(context.models.current)
    targets: dict[str, ServedModel | None] = {}
    for target in context.models.targets:
        serving = models.by_target.get(target)
        if serving is None:
            targets[target] = None
            continue
        manifest = serving.champion.manifest
        targets[target] = ServedModel(
            model=manifest.ref,
            variant=manifest.variant,
            provenance=manifest.provenance,
            kind=manifest.target.kind,
            threshold=manifest.threshold,
            pinned=context.models.pinned,
            challengers=[model.ref for model in serving.challengers],
        )
    report = VersionReport(
        name="voltick",
        version=code_version(),
        feature_set=FEATURE_SET,
        feed=feed_of(simulated),
        simulated=simulated,
        stale_after_s=context.settings.stale_after_s,
        targets=targets,
        problems=[problem.reason for problem in models.problems],
        history=history_of(context.settings),
        replay=context.settings.replays,
    )
    return json_response(report)


def history_of(settings: Settings) -> History | None:
    """Return what was sent before the live ticks; None for nothing."""
    if settings.history_from_ns is None or settings.live_from_ns is None:
        return None
    return History(
        origin="recorded" if settings.replays else "simulated",
        from_ns=settings.history_from_ns,
        until_ns=settings.live_from_ns,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text format", "content": {"text/plain": {}}}},
)
async def metrics(context: Shared) -> Response:
    """Return the API's metrics and the age of each symbol's latest score."""
    try:
        await context.scores.ping()
        predictions = await context.latest.all_latest()
        context.metrics.redis_up.set(1)
    except RedisUnavailableError:
        predictions = []
        context.metrics.redis_up.set(0)
    context.metrics.set_score_ages(predictions, context.clock_ns())
    return Response(context.metrics.render(), media_type=CONTENT_TYPE_LATEST)
