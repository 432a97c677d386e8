"""The parts that the routes share, made once per application."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Request

from flows.settings import Settings
from schemas.feeds import Venue
from schemas.predictions import Prediction
from serving.explaining.explainer import Explainer
from serving.http.problems import ApiError, RedisUnavailableError
from serving.log.topic_reads import TopicReads
from serving.models.admission import Admission
from serving.models.served import ServedModels
from serving.monitoring.feeds import FeedWatch
from serving.monitoring.metrics import ApiMetrics
from serving.monitoring.owners import PartitionOwners
from serving.monitoring.probe import BrokerProbe
from serving.scores.latest import LatestScores
from serving.scores.store import ScoreStore
from serving.scores.stream import Broadcaster
from serving.series.store import SeriesStore

SIMULATED_VENUE = Venue.SIMULATOR.value


@dataclass(frozen=True)
class Context:
    """The application's parts; ``clock_ns`` is wall time in nanoseconds since the UNIX epoch."""

    settings: Settings
    scores: ScoreStore
    latest: LatestScores
    models: ServedModels
    broadcaster: Broadcaster
    probe: BrokerProbe
    metrics: ApiMetrics
    predicting: Admission
    series: SeriesStore
    reads: TopicReads
    owners: PartitionOwners
    feeds: FeedWatch
    explainer: Explainer
    clock_ns: Callable[[], int] = time.time_ns

    def known_target(self, target: str | None) -> str:
        """Return the target asked for, the first of the settings by default.

        Raises
        ------
        ApiError
            404 for one that is not in the settings.
        """
        if target is None:
            return self.models.targets[0]
        if target not in self.models.targets:
            known = ", ".join(self.models.targets)
            raise ApiError(404, "unknown_target", f"no target {target!r}; there are: {known}")
        return target

    async def simulated(self) -> bool | None:
        """Whether the newest score is of the simulator; None while there is none to see."""
        try:
            predictions = await self.latest.all_latest()
        except RedisUnavailableError:
            return None
        return is_simulated(predictions, self.clock_ns()) if predictions else None


def is_simulated(predictions: Sequence[Prediction], now_ns: int) -> bool:
    """Return True where the newest of the scores came from simulated ticks.

    Redis may still know scores of a simulator that ran before a live feed. A score that is dated
    ahead of this host's clock does not count as newer than one of now.
    """
    newest = max(
        predictions, key=lambda each: (min(each.ts_scored_ns, now_ns), each.offset), default=None
    )
    return newest is not None and newest.venue == SIMULATED_VENUE


def context_of(request: Request) -> Context:
    """Return the application's context, as a dependency."""
    context = request.app.state.context
    assert isinstance(context, Context)  # noqa: S101  set by create_app alone
    return context
