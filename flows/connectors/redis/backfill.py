"""The bars of the time before a symbol's first tick, for the chart."""

import msgspec
import redis

from schemas import topics
from schemas.backfill import Backfill

EXPIRES_AFTER_S = 7_200
"""By then the chart's longest range lies behind the first tick."""


def put_backfill(client: redis.Redis, backfill: Backfill) -> None:
    """Write a symbol's bars in the place of those before.

    Raises
    ------
    redis.RedisError
        Redis does not answer.
    """
    client.set(
        topics.backfill_key(backfill.symbol),
        msgspec.json.encode(backfill),
        ex=EXPIRES_AFTER_S,
    )
