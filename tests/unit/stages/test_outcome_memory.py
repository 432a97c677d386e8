"""The join's memory is bounded, however many symbols there are predictions of."""

from flows.monitoring.quality import QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.numeric.time import NS_PER_S
from flows.stages.outcome_join import DEFAULT_SPAN, OutcomeJoin
from schemas.predictions import Prediction
from tests.support.outcomes import own
from tests.unit.stages.test_outcome_join import SPECS, batches, run, step


def test_symbols_without_end_hold_no_memory_and_change_no_outcome():
    start = 1_700_000_000
    made = []
    for second in range(300):
        names = ["BTC-USD", *(f"S{second}-{k}" for k in range(4))]
        made += [prediction(name, start + second, len(made) + k) for k, name in enumerate(names)]
    bounded = OutcomeJoin(
        SPECS.get,
        [DEFAULT_SPAN],
        QualityMonitor(),
        QualityMetrics(),
        lambda _points: None,
        max_symbols=6,
    )
    found = run(bounded, batches(made, range(0, len(made), 40)))
    wanted = run(step(), batches(made, [len(made)]))
    assert [each for each in wanted if each[1].symbol == "BTC-USD"] == found
    assert len(found) > 200
    [state] = bounded._partitions._states.values()
    assert len(state.symbols.names) <= 2 * 6 + 40
    assert len(state.times._newest) <= 2 * 6 + 40
    [horizon] = state.horizons
    assert horizon.realizer.pending < 100


def prediction(symbol: str, second: int, offset: int) -> Prediction:
    return Prediction(
        symbol=symbol,
        venue="v",
        ts_event_ns=second * NS_PER_S,
        trade_id=offset,
        price=100.0,
        mid=100.0 + second % 7,
        warm=True,
        late=False,
        gap=False,
        restart=False,
        scores={"spike": own("s@1", 0.5)},
        feature_set=1,
        ts_scored_ns=0,
        partition=0,
        offset=offset,
    )
