"""The soak's judgement can fail: every corruption is found, and a good hour passes."""

import json
import math
import random
from collections.abc import Callable
from itertools import islice, pairwise

import msgspec
import pytest

from flows.host.lossy_output import SAID_BY
from schemas.features import MEMORY_S
from schemas.ticks import Tick
from tests.proof.feeder import Rhythm
from tests.proof.soak.account import Account
from tests.proof.soak.judge import (
    Sample,
    complaints,
    delivery,
    growth,
    lags,
    quantile,
    recoveries_s,
    second_half,
    slope_per_h,
)
from tests.proof.soak.load import event_hz, ticks
from tests.proof.soak.watch import since

RHYTHM = Rhythm(base_hz=2_500, burst_hz=10_000, every_s=60, burst_s=10)
AT_REST = 2_500
LIMIT = 20.0
Figure = Callable[[float], float]


def warming(at_s: float) -> float:
    """Memory that fills in a quarter of an hour and then comes and goes a little."""
    noise = random.Random(at_s).uniform(-1.5, 1.5)  # noqa: S311
    return 200 + 150 * (1 - math.exp(-at_s / 300)) + noise


def following(at_s: float) -> float:
    """A lag that rises in each burst and is gone a few seconds after it."""
    return 40_000 if RHYTHM.bursts(at_s) or at_s % 60 < 4 else 60


def hour(
    rss: Figure = warming,
    lag: Figure = following,
    files: Figure = lambda _: 40,
    threads: Figure = lambda _: 20,
    seconds: int = 3_600,
) -> list[Sample]:
    return [
        Sample(
            float(at_s),
            {"pipeline": rss(at_s), "outcomes": 150.0},
            {"pipeline": int(files(at_s)), "outcomes": 30},
            {"pipeline": int(threads(at_s)), "outcomes": 15},
            {"pipeline": int(lag(at_s)) if at_s < seconds else 0, "outcomes": 0},
        )
        for at_s in range(0, seconds + 1, 2)
    ]


def wrong(samples: list[Sample]) -> list[str]:
    found = growth(second_half(samples), ("pipeline", "outcomes"), LIMIT)
    for flow in ("pipeline", "outcomes"):
        found += lags(samples, flow, RHYTHM, AT_REST)
    return found


def test_good_hour_passes() -> None:
    assert wrong(hour()) == []


def test_good_three_minutes_pass() -> None:
    assert wrong(hour(rss=lambda at_s: warming(20 * at_s), seconds=180)) == []


@pytest.mark.parametrize(("per_h", "seconds"), [(30.0, 3_600), (600.0, 180)])
def test_leak_is_found(per_h: float, seconds: int) -> None:
    [said] = wrong(hour(rss=lambda at_s: warming(20 * at_s) + per_h * at_s / 3600, seconds=seconds))
    assert said.startswith("pipeline grows by ")


def test_growth_before_half_time_is_no_leak() -> None:
    assert slope_per_h(hour(), "pipeline") > LIMIT
    assert abs(slope_per_h(second_half(hour()), "pipeline")) < LIMIT


@pytest.mark.parametrize("kind", ["files", "threads"])
def test_handles_that_are_never_given_back_are_found(kind: str) -> None:
    [said] = wrong(hour(**{kind: lambda at_s: 20 + at_s // 120}))
    assert kind in said


def test_handles_that_come_and_go_are_no_defect() -> None:
    assert wrong(hour(files=lambda at_s: 40 + at_s % 20)) == []


def test_lag_that_does_not_return_after_a_burst_is_found() -> None:
    def stuck(at_s: float) -> float:
        return 3_000 if 600 <= at_s < 650 else following(at_s)

    assert wrong(hour(lag=stuck)) == [
        "pipeline: after burst 10 the lag stayed above 2500 until the next one"
    ]


def test_lag_that_only_grows_is_found_after_every_burst() -> None:
    assert len(wrong(hour(lag=lambda at_s: 5_000 + at_s))) == 59


def test_lag_that_is_left_at_the_end_is_found() -> None:
    last = Sample(3_602.0, {"pipeline": 350.0}, {"pipeline": 40}, {"pipeline": 20}, {"pipeline": 1})
    assert lags([*hour(), last], "pipeline", RHYTHM, AT_REST) == [
        "pipeline: a lag of 1 is left at the end"
    ]


def test_recovery_is_timed_from_the_end_of_each_burst() -> None:
    assert recoveries_s(hour(seconds=300), "pipeline", RHYTHM, AT_REST) == [4.0] * 4


def entered(*offsets: int, place: int = 0) -> Account:
    account = Account()
    for offset in offsets:
        account.enter(place, 0, offset)
    account.close({0: 5})
    return account


def test_every_prediction_once_is_accounted_for() -> None:
    assert delivery(entered(0, 1, 2, 3, 4), 5) == []


@pytest.mark.parametrize(
    ("offsets", "missing", "twice"),
    [
        ((0, 1, 3, 4), 1, 0),
        ((1, 2, 3, 4), 1, 0),
        ((0, 1, 2), 2, 0),
        ((0, 1, 1, 2, 3, 4), 0, 1),
        ((0, 1, 2, 0, 1, 2, 3, 4), 0, 3),
    ],
)
def test_hole_and_repetition_are_found(offsets: tuple[int, ...], missing: int, twice: int) -> None:
    account = entered(*offsets)
    assert (account.missing, account.twice) == (missing, twice)
    assert delivery(account, 5)


def test_prediction_in_the_wrong_partition_is_found() -> None:
    assert delivery(entered(0, 1, 2, 3, 4, place=1), 5) == [
        "5 predictions are in the wrong partition"
    ]


def test_account_tells_when_the_last_prediction_is_there() -> None:
    account = Account()
    account.enter(0, 0, 0)
    assert account.reached({0: 1})
    assert not account.reached({0: 1, 1: 1})


def test_errors_and_what_is_no_log_line_are_complaints() -> None:
    lines = [
        json.dumps({"level": "info", "event": "ready"}),
        json.dumps({"level": "warning", "event": "Redis is away"}),
        json.dumps({"level": "error", "event": "broken"}),
        f"{SAID_BY}partition 1 belongs to a younger instance",
        "Traceback (most recent call last):",
    ]
    assert complaints(lines) == lines[2:]


def test_quantile_lies_within_its_bucket() -> None:
    buckets = {0.01: 50.0, 0.1: 90.0, 1.0: 100.0, math.inf: 100.0}
    assert quantile(buckets, 0.25) == pytest.approx(0.005)
    assert quantile(buckets, 0.5) == pytest.approx(0.01)
    assert quantile(buckets, 0.95) == pytest.approx(0.55)
    assert quantile({0.01: 1.0, math.inf: 10.0}, 0.99) == 0.01
    assert quantile({0.01: 0.0, math.inf: 0.0}, 0.5) is None
    assert since({0.01: 1.0}, {0.01: 4.0, math.inf: 5.0}) == {0.01: 3.0, math.inf: 5.0}


def test_rhythm_bursts_at_the_end_of_each_period() -> None:
    rates = [RHYTHM.hz_at(at_s) for at_s in (0, 49.9, 50, 59.9, 60, 110)]
    assert rates == [2_500, 2_500, 10_000, 10_000, 2_500, 10_000]
    assert RHYTHM.mean_hz == pytest.approx(3_750)
    assert Rhythm.averaging(1_500).mean_hz == pytest.approx(1_500)


@pytest.mark.parametrize("minutes", [3.0, 60.0])
def test_state_is_full_at_half_time(minutes: float) -> None:
    inputs = RHYTHM.mean_hz * minutes * 60
    assert inputs / 2 / event_hz(RHYTHM, minutes) > MEMORY_S
    assert event_hz(RHYTHM, 1_000) == RHYTHM.mean_hz


def test_load_is_even_in_order_and_spread_over_the_partitions() -> None:
    made = list(islice(ticks(1, 20, 4, 2_000.0), 5_000))
    decoded = [msgspec.json.decode(each.value, type=Tick) for each in made]
    times = [tick.ts_event_ns for tick in decoded]
    assert {after - before for before, after in pairwise(times)} == {500_000}
    ids: dict[str, int] = {}
    for tick, each in zip(decoded, made, strict=True):
        assert tick.symbol.encode() == each.key
        assert tick.trade_id == ids.get(tick.symbol, 0) + 1
        ids[tick.symbol] = tick.trade_id
    assert {each.partition for each in made} == {0, 1, 2, 3}
