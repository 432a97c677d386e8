"""The checks behind ``GET /health``: models, Kafka, Redis, fresh ticks."""

import asyncio

from flows.errors import ModelStoreError
from serving.context import Context, is_simulated
from serving.http.problems import RedisUnavailableError
from serving.http.views import CheckResult, ErrorBody, HealthReport


async def examine(context: Context) -> HealthReport:
    """Check models, Kafka, Redis and the ticks' freshness; ends within some seconds."""
    model, kafka, (redis, ticks, simulated) = await asyncio.gather(
        asyncio.to_thread(_check_model, context), context.probe.check(), _check_scores(context)
    )
    checks = {"model": model, "kafka": kafka, "redis": redis, "ticks": ticks}
    failing = [name for name, check in checks.items() if not check.ok]
    error = None
    if failing:
        causes = "; ".join(f"{name}: {checks[name].detail}" for name in failing)
        error = ErrorBody("unhealthy", causes)
    return HealthReport(
        status="unavailable" if failing else "ok",
        failing=failing,
        feed="unknown" if simulated is None else "SIMULATED" if simulated else "recorded or live",
        simulated=simulated,
        checks=checks,
        error=error,
    )


def _check_model(context: Context) -> CheckResult:
    try:
        models = context.models.current()
    except ModelStoreError as error:
        return CheckResult(ok=False, detail=str(error))
    loaded = [f"{target}: {own.champion.ref}" for target, own in models.by_target.items()]
    if loaded:
        return CheckResult(ok=True, detail=", ".join(loaded))
    problems = "; ".join(problem.reason for problem in models.problems)
    return CheckResult(ok=False, detail=problems or "no target has a champion yet")


async def _check_scores(context: Context) -> tuple[CheckResult, CheckResult, bool | None]:
    try:
        await context.scores.ping()
        predictions = await context.scores.all_latest()
    except RedisUnavailableError as error:
        unknown = CheckResult(ok=False, detail="unknown, since Redis does not answer")
        return CheckResult(ok=False, detail=error.body.message), unknown, None
    answered = CheckResult(ok=True, detail="answers")
    if not predictions:
        return answered, CheckResult(ok=False, detail="no tick was scored yet"), None
    newest_ns = max(prediction.ts_scored_ns for prediction in predictions)
    age_s = max(0, context.clock_ns() - newest_ns) / 1e9
    limit_s = context.settings.stale_after_s
    simulated = is_simulated(predictions)
    origin = "SIMULATED ticks; " if simulated else ""
    detail = f"{origin}newest score is {age_s:.1f} s old, limit {limit_s:g} s"
    return answered, CheckResult(ok=age_s <= limit_s, detail=detail), simulated
