"""Feast gives the archive's features, point in time and online from a real Redis."""

import os
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.numeric.time import NS_PER_S
from schemas import topics
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from tests.support.archives import archive
from tests.support.embedded import Valkey
from training.feast import app
from training.feature_store.definitions import REDIS_VARIABLE, SERVICE
from training.feature_store.environment import redis_address

FEAST = Path(os.environ.get("FEAST_VENV", ".voltick/feast/environment")).absolute()
START_NS = 20_000 * 86_400 * NS_PER_S
MARKETS = (("one", "BTC-USD"), ("two", "A/B %"))
# Runs in Feast's own environment, which does not hold our code.
ASK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from feast import FeatureStore
asked = json.load(sys.stdin)
store = FeatureStore(asked["repository"])
service = store.get_feature_service(asked["service"])
entities = pd.DataFrame(asked["rows"])
entities["event_timestamp"] = pd.to_datetime(entities.pop("ts_ns"), utc=True)
entities["at"] = range(len(entities))
found = store.get_historical_features(entity_df=entities, features=service).to_df()
online = store.get_online_features(features=service, entity_rows=asked["online"]).to_dict()
names = asked["names"]
rows = {int(at): [None if pd.isna(value) else float(value) for value in row]
        for at, row in zip(found["at"], found[names].itertuples(index=False))}
columns = [online[name] for name in names]
print(json.dumps({"historical": rows, "online": [list(row) for row in zip(*columns)]}))
"""

pytestmark = [
    pytest.mark.skipif(
        not (FEAST / "bin" / "feast").exists(),
        reason="Feast's environment is not there: python -m training.feast install, or FEAST_VENV",
    ),
    pytest.mark.slow,
    # Three starts of Feast, each some seconds of imports, on whatever the machine has left.
    pytest.mark.timeout(600),
]


def rows() -> list[FeatureRow]:
    rng = np.random.default_rng(3)
    made = []
    for number in range(120):
        venue, symbol = MARKETS[number % 2]
        values = rng.normal(size=len(NAMES)).astype(np.float32)
        values[rng.integers(len(NAMES), size=5)] = np.nan
        made.append(
            FeatureRow(
                symbol=symbol,
                venue=venue,
                # Some ticks of one moment; the last of the log is served.
                ts_event_ns=START_NS + number // 6 * NS_PER_S + 7,
                feature_set=FEATURE_SET,
                warm=True,
                values=[None if np.isnan(value) else float(value) for value in values],
                partition=0,
                offset=number,
            )
        )
    return made


def newest(some: list[FeatureRow], market: tuple[str, str], ts_ns: int) -> list[float | None]:
    """Return what was known at a moment, by a plain loop."""
    known: FeatureRow | None = None
    for each in some:
        if (each.venue, each.symbol) == market and each.ts_event_ns <= ts_ns:
            known = each if known is None or each.ts_event_ns >= known.ts_event_ns else known
    return [None] * len(NAMES) if known is None else list(known.values)


def test_historical_and_online_features_equal_the_archives(
    tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = rows()
    archive(tmp_path / "archive", topics.TICKS_FEATURES, some)
    repository = tmp_path / "repository"
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.chdir(tmp_path)
    where = ["--repository", str(repository)]
    app(["generate", "--from", str(tmp_path / "archive"), *where], standalone_mode=False)
    app(["apply", *where, "--using", str(FEAST)], standalone_mode=False)
    times = ["--since", "2024-10-04T00:00", "--until", "2024-10-05T00:00"]
    app(["materialize", *where, "--using", str(FEAST), *times], standalone_mode=False)
    moments = [
        (market, START_NS + second * NS_PER_S + ns)
        for market in MARKETS
        for second in (0, 3, 11, 19, 400)
        for ns in (6, 7, 8)
    ]
    asked = {
        "repository": str(repository),
        "service": SERVICE,
        "names": NAMES,
        "rows": [
            {"venue": venue, "symbol": symbol, "ts_ns": ts_ns} for (venue, symbol), ts_ns in moments
        ],
        "online": [{"venue": venue, "symbol": symbol} for venue, symbol in (*MARKETS, ("x", "y"))],
    }
    done = subprocess.run(
        [FEAST / "bin" / "python", "-c", ASK],
        input=msgspec.json.encode(asked),
        env={**os.environ, REDIS_VARIABLE: redis_address(valkey.url)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = msgspec.json.decode(done.stdout.splitlines()[-1])
    nothing = [None] * len(NAMES)
    for at, moment in enumerate(moments):
        # Feast leaves out a moment before a market's first row.
        assert found["historical"].get(str(at), nothing) == newest(some, *moment)
    assert len(found["historical"]) >= len(moments) - len(MARKETS)
    assert found["online"] == [
        *(newest(some, market, 2**63 - 1) for market in MARKETS),
        nothing,
    ]
