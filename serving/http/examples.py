"""Examples of the API's answers, for its documentation."""

from typing import Any

from schemas.drift import DriftReport, InputDrift, ModelDrift
from schemas.features import FEATURES
from schemas.models import Aliases
from schemas.predictions import Prediction, TargetScore
from schemas.quality import ModelQuality, QualityPoint
from serving.http import series_views, views

_TS_NS = 1_763_719_500_123_000_000
_REF = "gbt-spike@20261121T094500Z-ab12cd34"
_NAME, _VERSION = _REF.split("@")

PREDICTION = Prediction(
    symbol="BTC-USD",
    venue="coinbase-exchange",
    ts_event_ns=_TS_NS,
    trade_id=912345678,
    price=64210.5,
    mid=64210.25,
    warm=True,
    late=False,
    gap=False,
    scores={
        "volatility_spike": TargetScore(
            score=0.17,
            decision=False,
            model=_NAME,
            version=_VERSION,
            variant="gbt",
            shadow={"zscore@20261121T093000Z-00ff00ff": 0.11},
        )
    },
    feature_set=1,
    ts_scored_ns=_TS_NS + 190_000_000,
    partition=2,
    offset=1_204_551,
)

SCORE = views.ScoreView(
    **{name: getattr(PREDICTION, name) for name in PREDICTION.__struct_fields__},
    age_ms=42,
    event_age_ms=232,
    stale=False,
)
SCORES = views.ScoresResponse([SCORE], simulated=False)
HISTORY = views.HistoryResponse("BTC-USD", [PREDICTION])
QUALITY = views.QualityResponse(
    "volatility_spike",
    [
        QualityPoint(
            target="volatility_spike",
            kind="classification",
            ts_ns=_TS_NS,
            from_ns=_TS_NS - 3_600_000_000_000,
            models=[
                ModelQuality(
                    model=_REF,
                    role="champion",
                    variant="gbt",
                    count=180_000,
                    prevalence=0.11,
                    pr_auc=0.29,
                    roc_auc=0.74,
                    brier=0.091,
                    brier_skill=0.07,
                    calibration_error=0.02,
                )
            ],
        )
    ],
    DriftReport(
        target="volatility_spike",
        ts_ns=_TS_NS,
        from_ns=_TS_NS - 3_600_000_000_000,
        models=[
            ModelDrift(
                model=_REF,
                state="drift",
                causes=["33% of the inputs have moved, most of all vol_ratio_5_3600"],
                rows=6_800,
                moved=0.33,
                fitted=True,
                score=InputDrift(feature="score", psi=0.12, ks=0.08, beyond=0.0),
                inputs=[InputDrift(feature="vol_ratio_5_3600", psi=0.41, ks=0.22, beyond=0.01)],
            )
        ],
    ),
)
BACKFILL = series_views.BackfillResponse(
    symbol="BTC-USD",
    venue="coinbase-exchange",
    interval_s=60,
    ts_s=[_TS_NS // 60_000_000_000 * 60],
    open=[64210.0],
    high=[64231.5],
    low=[64198.0],
    close=[64220.5],
    volume=[3.2],
)
SERIES = series_views.SeriesResponse(
    symbol="BTC-USD",
    target="volatility_spike",
    kind="classification",
    step_s=1,
    source="kafka",
    complete=True,
    skipped=0,
    revision=5_120,
    oldest_s=_TS_NS // 1_000_000_000,
    newest_s=_TS_NS // 1_000_000_000,
    threshold=0.3,
    columns=series_views.SeriesColumns(
        ts_s=[_TS_NS // 1_000_000_000],
        open=[64210.0],
        high=[64210.5],
        low=[64209.5],
        close=[64210.5],
        volume=[0.031],
        trades=[4],
        bid=[64210.0],
        ask=[64210.5],
        mid=[64210.25],
        gap=[False],
        score=[0.17],
        alert=[False],
        shadow={"zscore@20261121T093000Z-00ff00ff": [0.11]},
        truth=[0.0],
        judged=[0.17],
    ),
    marks=[],
    swaps=[],
)
HEALTH = views.HealthReport(
    status="ok",
    warnings=[],
    failing=[],
    feed="recorded or live",
    simulated=False,
    checks={
        "model": views.CheckResult(ok=True, detail=f"volatility_spike: {_REF}"),
        "kafka": views.CheckResult(ok=True, detail="6 topics"),
        "redis": views.CheckResult(ok=True, detail="answers"),
        "stream": views.CheckResult(ok=True, detail="2 clients"),
        "ticks": views.CheckResult(ok=True, detail="newest score is 0.1 s old, limit 30 s"),
    },
)
_SERVED = views.ServedModel(
    model=_REF,
    variant="gbt",
    provenance="recorded",
    kind="classification",
    threshold=0.3,
    pinned=False,
    challengers=[],
)
VERSION = views.VersionReport(
    name="voltick",
    version="0.1.0",
    feature_set=1,
    feed="recorded or live",
    simulated=False,
    stale_after_s=30.0,
    targets={"volatility_spike": _SERVED},
    problems=[],
)
ALIASES = Aliases(
    target="volatility_spike", champion=_REF, moved_ns=_TS_NS, moved_by="api from 127.0.0.1"
)
ALIASES_RESPONSE = views.AliasesResponse(ALIASES)
_SUMMARY = views.ModelSummary(
    ref=_REF,
    target="volatility_spike",
    kind="classification",
    variant="gbt",
    provenance="recorded",
    feature_set=1,
    created_ns=_TS_NS,
    role="champion",
    threshold=0.3,
    metrics={"pr_auc": 0.29},
)
MODELS = views.ModelsResponse([_SUMMARY], {"volatility_spike": ALIASES}, {"volatility_spike": _REF})
CHAMPION_REQUEST = views.ChampionRequest(_REF)
SHADOW_REQUEST = views.ShadowRequest([_REF])


PREDICT_REQUEST: Any = {
    "rows": [
        {feature.name: max(feature.low, min(feature.high, 1.0)) for feature in FEATURES},
    ]
}
PREDICT = views.PredictResponse(
    scores=[0.17],
    decisions=[False],
    target="volatility_spike",
    model=_NAME,
    version=_VERSION,
    model_variant="gbt",
    feature_set=1,
    ts="2026-11-21T09:45:00.123456Z",
)
