"""The HTTP API: reads of what the pipeline wrote, scores on request, and the live page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from flows.errors import ConfigurationError
from flows.host.server_names import ServerNames
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import ModelOverride, serves_simulated
from flows.settings import Settings
from serving.context import Context
from serving.explaining.explainer import Explainer
from serving.http import documents, problems
from serving.http.compression import Compression
from serving.http.hosts import KnownHosts
from serving.http.middleware import CatchAll, Measure, SecurityHeaders
from serving.http.paths import Head, Paths
from serving.http.proxies import TrustedProxies
from serving.http.score_reads import ScoreReads
from serving.log.topic_reads import TopicReads
from serving.models.admission import Admission
from serving.models.served import ServedModels
from serving.monitoring.feeds import FeedWatch
from serving.monitoring.metrics import ApiMetrics
from serving.monitoring.owners import PartitionOwners
from serving.monitoring.probe import BrokerProbe
from serving.routes import models, page, pipeline, predict, reasons, scores, series, stream, system
from serving.scores.answers import ForeignEntries
from serving.scores.latest import LatestScores
from serving.scores.store import ScoreStore, connect
from serving.scores.stream import Broadcaster
from serving.series.store import SeriesStore

MAX_PREDICTING = 8
_DESCRIPTION = """Real-time scores of crypto market ticks.

Times are nanoseconds since the UNIX epoch, ages milliseconds. Every error has one shape:
`{"error": {"code", "message", "detail"?}}`.
"""


def create_app(settings: Settings) -> FastAPI:
    """Build the application; it connects when it starts, not here.

    Raises
    ------
    ConfigurationError
        ``REDIS_URL`` is not set or is no Redis URL.
    """
    context = _context(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        context.broadcaster.start()
        try:
            yield
        finally:
            await context.broadcaster.stop()
            await context.scores.close()
            context.predicting.close()
            await asyncio.to_thread(context.series.close)
            await asyncio.to_thread(context.reads.close)

    app = FastAPI(
        title="Voltick",
        version=system.code_version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    problems.install(app, context.models.is_news)
    documents.install(app)
    for router in (
        system.router,
        scores.router,
        series.router,
        reasons.router,
        pipeline.router,
        stream.router,
        predict.router,
        models.router,
        models.moves,
    ):
        app.include_router(router)
    page.install(app)
    # The last one added is the outermost.
    app.add_middleware(ScoreReads, context=context)
    names = ServerNames(
        settings.allowed_hosts, settings.api_host, behind_proxy=bool(settings.trusted_proxies)
    )
    app.add_middleware(KnownHosts, names=names)
    app.add_middleware(CatchAll)
    app.add_middleware(Measure, metrics=context.metrics)
    app.add_middleware(Compression)
    app.add_middleware(Head)
    app.add_middleware(SecurityHeaders)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("Authorization", "Content-Type", "Last-Event-ID"),
        )
    app.add_middleware(Paths, root_path=settings.api_root_path)
    app.add_middleware(TrustedProxies, trusted=settings.trusted_proxies)
    return app


def _context(settings: Settings) -> Context:
    if settings.redis_url is None:
        message = "REDIS_URL is not set; name the Redis that the pipeline writes to"
        raise ConfigurationError(message)
    url = settings.redis_url.get_secret_value()
    try:
        client = connect(url)
    except ValueError:
        # Not even the cause is repeated: a password that is not escaped would be part of it.
        message = "REDIS_URL is not usable"
        raise ConfigurationError(message) from None
    if not settings.targets:
        message = "VOLTICK_TARGETS is empty; name at least one target"
        raise ConfigurationError(message)
    metrics = ApiMetrics()
    foreign = ForeignEntries(metrics.foreign_entries)
    kafka = None if settings.kafka_bootstrap_servers is None else settings.kafka_config()
    override = ModelOverride(settings.model_version, settings.model_variant)
    store = ScoreStore(client, foreign)
    latest = LatestScores(store)
    models_store = ModelStore(settings.model_store)
    return Context(
        settings=settings,
        scores=store,
        latest=latest,
        models=ServedModels(
            models_store,
            settings.targets,
            override,
            allow_simulated=serves_simulated(settings.feed),
        ),
        broadcaster=Broadcaster(url, latest, metrics, foreign),
        probe=BrokerProbe(kafka),
        metrics=metrics,
        predicting=Admission(MAX_PREDICTING),
        series=SeriesStore(kafka, latest, store),
        reads=TopicReads(kafka),
        owners=PartitionOwners(kafka, settings.group),
        feeds=FeedWatch(settings.metrics_host, settings.ingest_metrics_port),
        explainer=Explainer(models_store),
    )
