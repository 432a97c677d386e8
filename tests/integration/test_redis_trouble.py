"""Redis hangs, dies and comes back empty: scoring goes on, and the newest scores come back."""

from pathlib import Path

import pytest

from tests.integration.proofs import prove_spotless
from tests.proof.cluster import Plan
from tests.proof.faults import redis_trouble
from tests.support.embedded import EmbeddedBroker


@pytest.mark.timeout(300)
def test_redis_is_slow_and_comes_back_empty(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    plan = Plan(41, ticks=8_000, rate_hz=800, oracle_rows=200, uninterrupted=False)
    prove_spotless(embedded_broker, plan, tmp_path, redis_trouble)
