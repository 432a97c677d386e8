"""Seconds, columns and marks of a symbol, beside a plain recomputation from all messages."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.predictions import OutcomeScore, TargetScore
from serving.series.buckets import AHEAD_S, SPAN_S, Buckets, OutcomePart, PredictionPart, TickPart
from serving.series.columns import columns, swaps
from serving.series.marks import JOIN_S, marks, stretches

SPIKE = "volatility_spike"
START_S = 1_700_000_000
NS = 1_000_000_000


def scored(score: float, *, threshold: float | None = 0.5, model: str = "m", **shadow: float):
    decision = None if threshold is None else score >= threshold
    return TargetScore(
        score=score, decision=decision, model=model, version="v", variant="t", shadow=shadow
    )


def prediction(second: float, offset: int, score: float = 0.1, **fields) -> PredictionPart:
    ts_ns = int((START_S + second) * NS)
    return PredictionPart(ts_ns, 100.0, 100.5, True, offset, {SPIKE: scored(score, **fields)})


def outcome(second: float, offset: int, truth: float, score: float = 0.1) -> OutcomePart:
    judged = OutcomeScore(
        score=score, model="m", version="v", variant="t", truth=truth, value=truth
    )
    return OutcomePart(int((START_S + second) * NS), offset, {SPIKE: judged})


def tick(second: float, price: float, **fields) -> TickPart:
    return TickPart(int((START_S + second) * NS), price, **fields)


def of(buckets: Buckets):
    return list(buckets.since(0))


TICKS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 1000), st.integers(0, 9) | st.none()),
    min_size=1,
    max_size=60,
)


@given(TICKS, st.integers(1, 7), st.randoms(use_true_random=False))
def test_ticks_in_any_order_come_to_what_all_of_them_say(
    ticks: list[tuple[int, int, int | None]], step_s: int, order: random.Random
) -> None:
    buckets = Buckets()
    buckets.add_prediction(prediction(20, 10**6))
    numbered = list(enumerate(ticks))
    order.shuffle(numbered)
    for offset, (second, price, size) in numbered:
        buckets.add_tick(offset, tick(second, price, size=size, bid=price - 0.5, ask=price + 0.5))
    made = columns(of(buckets), SPIKE, step_s, 0)

    # The log's order decides within a second, time between seconds.
    ordered = sorted(enumerate(ticks), key=lambda each: (each[1][0], each[0]))
    for at, start in enumerate(made.ts_s):
        own = [each for _, each in ordered if (START_S + each[0]) // step_s * step_s == start]
        if not own:
            assert made.close[at] in (None, 100.5)  # the second of the prediction alone
            continue
        prices = [price for _second, price, _size in own]
        assert (made.open[at], made.close[at]) == (prices[0], prices[-1])
        assert (made.bid[at], made.ask[at]) == (prices[-1] - 0.5, prices[-1] + 0.5)
        assert (made.low[at], made.high[at]) == (min(prices), max(prices))
        assert made.trades[at] == len(own)
        sizes = [size for _second, _price, size in own if size is not None]
        assert made.volume[at] == (sum(sizes) if sizes else None)


def test_only_what_changed_after_a_revision_is_told_again() -> None:
    buckets = Buckets()
    for second in range(5):
        buckets.add_prediction(prediction(second, second))
    before = buckets.revision
    buckets.add_outcome(outcome(1, 1, 1.0))
    made = columns(of(buckets), SPIKE, 1, before)
    assert made.ts_s == [START_S + 1]
    assert made.truth == [1.0]


def test_a_tick_with_a_wrong_clock_pushes_nothing_out() -> None:
    buckets = Buckets()
    buckets.add_prediction(prediction(0, 1))
    buckets.add_tick(2, tick(10 * SPAN_S, 5.0))
    buckets.add_tick(3, tick(-SPAN_S, 5.0))
    buckets.add_tick(4, tick(1, float("nan")))
    buckets.add_tick(5, tick(1, -1.0))
    made = columns(of(buckets), SPIKE, 1, 0)
    assert made.close == [100.5, None]
    assert made.trades == [0, 0]


def test_ticks_and_outcomes_may_come_before_the_predictions_of_their_time() -> None:
    buckets = Buckets()
    for offset in range(5):
        buckets.add_tick(offset, tick(offset, 100.0 + offset))
        buckets.add_outcome(outcome(offset, offset, 1.0))
    assert of(buckets) == []
    for offset in range(5):
        buckets.add_prediction(prediction(offset, offset))
    made = columns(of(buckets), SPIKE, 1, 0)
    assert made.close == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert made.truth == [1.0] * 5


def test_a_log_that_goes_on_at_an_earlier_time_begins_the_series_anew() -> None:
    buckets = Buckets()
    buckets.add_prediction(prediction(10_000, 1))
    buckets.add_prediction(prediction(10_000 - AHEAD_S, 2))  # late, and no more than that
    assert buckets.newest_s == START_S + 10_000
    buckets.add_prediction(prediction(0, 3))
    assert [each.second for each in of(buckets)] == [START_S]
    buckets.add_prediction(prediction(9_999, 0))  # of before, read afterwards
    assert [each.second for each in of(buckets)] == [START_S]


def test_an_event_shows_its_largest_score_and_a_forecast_its_last() -> None:
    buckets = Buckets()
    for offset, score in enumerate((0.2, 0.7, 0.3)):
        buckets.add_prediction(prediction(0, offset, score, other=score / 2))
    made = columns(of(buckets), SPIKE, 1, 0)
    assert (made.score, made.alert, made.shadow) == ([0.7], [True], {"other": [0.15]})
    forecasts = Buckets()
    for offset, score in enumerate((0.2, 0.7, 0.3)):
        forecasts.add_prediction(prediction(0, offset, score, threshold=None))
    made = columns(of(forecasts), SPIKE, 1, 0)
    assert (made.score, made.alert) == ([0.3], [None])


def test_a_challenger_that_comes_and_goes_has_a_value_for_every_step() -> None:
    buckets = Buckets()
    buckets.add_prediction(prediction(0, 0))
    buckets.add_prediction(prediction(1, 1, other=0.4))
    buckets.add_prediction(prediction(2, 2))
    assert columns(of(buckets), SPIKE, 1, 0).shadow == {"other": [None, 0.4, None]}


def test_swaps_name_the_first_model_and_each_change() -> None:
    buckets = Buckets()
    for second, model in enumerate(("a", "a", "b", "b")):
        buckets.add_prediction(prediction(second, second, model=model))
    found = [(swap.ts_s - START_S, swap.model, swap.before) for swap in swaps(of(buckets), SPIKE)]
    assert found == [(0, "a@v", None), (2, "b@v", "a@v")]


@given(st.sets(st.integers(0, 200)), st.integers(1, 12))
def test_stretches_hold_every_second_and_lie_apart(seconds: set[int], join_s: int) -> None:
    found = stretches(sorted(seconds), join_s)
    for second in seconds:
        assert sum(each.first_s <= second <= each.last_s for each in found) == 1
    for before, after in pairwise(found):
        assert after.first_s - before.last_s >= join_s


def test_marks_say_what_became_of_each_alert_and_what_was_missed() -> None:
    buckets = Buckets()
    far = 4 * JOIN_S

    def second(at: int, score: float, truth: float | None) -> None:
        buckets.add_prediction(prediction(at, at, score))
        if truth is not None:
            buckets.add_outcome(outcome(at, at, truth))

    second(0, 0.6, 1.0)
    second(JOIN_S - 1, 0.7, 0.0)  # still the same alert
    second(far, 0.6, 0.0)
    second(2 * far, 0.1, 1.0)
    second(3 * far, 0.9, None)
    second(4 * far, 0.8, 0.0)
    second(4 * far + JOIN_S - 1, 0.1, 1.0)  # near the alert before it: no miss of its own
    found = marks(of(buckets), SPIKE)
    told = [(mark.ts_s - START_S, mark.to_s - START_S, mark.kind) for mark in found]
    assert told == [
        (0, JOIN_S - 1, "hit"),
        (far, far, "false_alarm"),
        (2 * far, 2 * far, "miss"),
        (3 * far, 3 * far, "pending"),
        (4 * far, 4 * far, "false_alarm"),
    ]


def test_what_is_older_than_the_span_goes() -> None:
    buckets = Buckets()
    for second in range(SPAN_S + 200):
        buckets.add_prediction(prediction(second, second))
    assert len(buckets) <= SPAN_S + AHEAD_S
    assert of(buckets)[-1].second == START_S + SPAN_S + 199
