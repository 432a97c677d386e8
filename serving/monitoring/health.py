"""The checks behind ``GET /health``: models, Kafka, Redis, the stream, fresh ticks."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows.errors import ModelStoreError
from schemas.dead_letters import DeadLetterRate
from schemas.predictions import Prediction
from serving.context import Context, is_simulated
from serving.http.problems import RedisUnavailableError
from serving.http.views import CheckResult, ErrorBody, Feed, HealthReport
from serving.scores.age import age_of
from serving.scores.condition import describe, memory_warnings

# Hosts that keep their time agree far better than this.
CLOCK_TOLERANCE_MS = 1_000


@dataclass(frozen=True)
class Freshness:
    """What the newest scores say: the check, the feed's kind, and which clocks disagree."""

    check: CheckResult
    simulated: bool | None = None
    warnings: tuple[str, ...] = ()


async def examine(context: Context) -> HealthReport:
    """Check all parts; ends within some seconds."""
    model, kafka, (redis, ticks) = await asyncio.gather(
        asyncio.to_thread(_check_model, context), context.probe.check(), _check_scores(context)
    )
    checks = {
        "model": model,
        "kafka": kafka,
        "redis": redis,
        "stream": _check_stream(context),
        "ticks": ticks.check,
    }
    return report_of(checks, ticks)


def report_of(checks: Mapping[str, CheckResult], ticks: Freshness) -> HealthReport:
    """Put the checks together."""
    failing = [name for name, check in checks.items() if not check.ok]
    error = None
    if failing:
        causes = "; ".join(f"{name}: {checks[name].detail}" for name in failing)
        error = ErrorBody("unhealthy", causes)
    return HealthReport(
        status="unavailable" if failing else "ok",
        failing=failing,
        warnings=list(ticks.warnings),
        feed=feed_of(ticks.simulated),
        simulated=ticks.simulated,
        checks=dict(checks),
        error=error,
    )


def freshness(
    predictions: Sequence[Prediction], now_ns: int, stale_after_s: float, *, simulated: bool
) -> Freshness:
    """Judge the newest score of each symbol; a clock that is ahead is named, never taken for fresh.

    Parameters
    ----------
    predictions
        The latest of each symbol.
    now_ns
        This host's clock, nanoseconds since the UNIX epoch.
    """
    if not predictions:
        return Freshness(CheckResult(ok=False, detail="no tick was scored yet"))
    ages = [age_of(prediction.ts_scored_ns, now_ns) for prediction in predictions]
    # Of scores dated ahead the least wrong one; it counts as new within the limit alone.
    newest = min(ages, key=lambda age: (age.is_stale(stale_after_s), age.age_ms, age.ahead_ms))
    origin = "SIMULATED ticks; " if simulated else ""
    detail = f"{origin}newest score is {newest.sentence()}, limit {stale_after_s:g} s"
    ahead = [age.ahead_ms for age in ages if age.ahead_ms > CLOCK_TOLERANCE_MS]
    warnings: tuple[str, ...] = ()
    if ahead:
        warnings = (
            f"clocks disagree: scores of {len(ahead)} of {len(ages)} symbols are dated up to"
            f" {max(ahead) / 1000:.1f} s ahead of this host's clock; set the clocks by NTP",
        )
    check = CheckResult(ok=not newest.is_stale(stale_after_s), detail=detail)
    return Freshness(check, simulated, warnings)


def feed_of(simulated: bool | None) -> Feed:
    """Return the feed's kind in the words of the answers."""
    if simulated is None:
        return "unknown"
    return "SIMULATED" if simulated else "recorded or live"


def _check_model(context: Context) -> CheckResult:
    try:
        models = context.models.current()
    except ModelStoreError as error:
        return CheckResult(ok=False, detail=str(error))
    loaded = [f"{target}: {found.champion.ref}" for target, found in models.by_target.items()]
    if loaded:
        return CheckResult(ok=True, detail=", ".join(loaded))
    problems = "; ".join(problem.reason for problem in models.problems)
    return CheckResult(ok=False, detail=problems or "no target has a champion yet")


def _check_stream(context: Context) -> CheckResult:
    if context.broadcaster.connected.is_set():
        return CheckResult(ok=True, detail=f"{context.broadcaster.client_count} clients")
    return CheckResult(ok=False, detail="not subscribed to new scores; tried again every 2 s")


async def _check_scores(context: Context) -> tuple[CheckResult, Freshness]:
    try:
        await context.scores.ping()
        told = await context.scores.told()
        predictions = await context.latest.all_latest()
        dead = await context.scores.dead_letter_rate()
    except RedisUnavailableError as error:
        unknown = CheckResult(ok=False, detail="unknown, since Redis does not answer")
        return CheckResult(ok=False, detail=error.body.message), Freshness(unknown)
    ticks = freshness(
        predictions,
        context.clock_ns(),
        context.settings.stale_after_s,
        simulated=is_simulated(predictions, context.clock_ns()),
    )
    warnings = (*ticks.warnings, *memory_warnings(told))
    if dead is not None:
        warnings = (*warnings, dead_letter_warning(dead))
    return CheckResult(ok=True, detail=describe(told)), replace(ticks, warnings=warnings)


def dead_letter_warning(rate: DeadLetterRate) -> str:
    """Return the sentence that names a rate of dead letters."""
    by_reason = ", ".join(f"{count} {reason}" for reason, count in sorted(rate.counts.items()))
    return (
        f"{sum(rate.counts.values())} dead letters in {rate.seconds:.0f} s ({by_reason}); see the"
        " topic dead.letters"
    )
