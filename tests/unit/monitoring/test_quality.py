"""Live quality against scikit-learn, minute by minute."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from flows.monitoring.figures import (
    classifier_figures,
    classifier_sums,
    forecast_figures,
    forecast_sums,
)
from flows.monitoring.quality import Evaluated, FirstOfSecond, QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.numeric.time import NS_PER_S

START_S = 1_700_000_040  # a whole minute


def sample(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-random.normal(-2.2, 0.7, count)))
    return scores, (random.random(count) < scores).astype(np.float64)


def evaluated(seconds, scores, truths, **fields) -> Evaluated:
    return Evaluated(
        **{
            "target": "spike",
            "kind": "classification",
            "model": "a@1",
            "role": "champion",
            "variant": "gbt",
            "ts_event_ns": (START_S + np.asarray(seconds, np.int64)) * NS_PER_S,
            "scores": np.asarray(scores, np.float64),
            "truths": np.asarray(truths, np.float64),
            **fields,
        }
    )


def only_point(monitor: QualityMonitor):
    [point] = monitor.points()
    return point


@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_scikit_learn_s(seed):
    scores, truths = sample(seed, 5000)
    figures = classifier_figures(classifier_sums(scores, truths))
    assert figures["count"] == 5000
    assert figures["prevalence"] == pytest.approx(truths.mean())
    assert figures["pr_auc"] == pytest.approx(average_precision_score(truths, scores), abs=2e-3)
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(truths, scores), abs=1e-3)
    assert figures["brier"] == pytest.approx(brier_score_loss(truths, scores))


SCORES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0]), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(SCORES)
def test_figures_are_exact_where_scores_differ_clearly(pairs):
    scores = np.array([score for score, _happened in pairs])
    truths = np.array([float(happened) for _score, happened in pairs])
    figures = classifier_figures(classifier_sums(scores, truths))
    if 0 < truths.sum() < len(truths):
        assert figures["pr_auc"] == pytest.approx(average_precision_score(truths, scores))
        assert figures["roc_auc"] == pytest.approx(roc_auc_score(truths, scores))
    else:
        assert figures["pr_auc"] is None
        assert figures["roc_auc"] is None
    assert sum(each.count for each in figures["reliability"]) == len(pairs)
    for each in figures["reliability"]:
        inside = (scores >= each.low) & ((scores < each.high) | (each.high == 1.0))
        assert each.count == inside.sum()
        assert each.mean_score == pytest.approx(scores[inside].mean())
        assert each.truth_rate == pytest.approx(truths[inside].mean())


@given(SCORES, SCORES)
def test_sums_of_parts_are_the_sums_of_the_whole(first, second):
    def sums(pairs):
        columns = np.array(pairs, np.float64)
        return classifier_sums(columns[:, 0], columns[:, 1])

    np.testing.assert_allclose(sums(first) + sums(second), sums(first + second))


def test_forecast_figures():
    scores, truths = np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.0, -2.0])
    figures = forecast_figures(forecast_sums(scores, truths))
    assert figures["rmse"] == pytest.approx(np.sqrt(8 / 3))
    assert figures["mae"] == pytest.approx(4 / 3)
    assert figures["persistence_rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert figures["persistence_mae"] == pytest.approx(1.0)


@settings(max_examples=30)
@given(st.integers(0, 99), st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_window_holds_the_last_minutes_whatever_the_batches(seed, cuts):
    scores, truths = sample(seed, sum(cuts))
    seconds = np.arange(len(scores)) * 2
    monitor = QualityMonitor(window_s=300)
    start = 0
    for size in cuts:
        part = slice(start, start + size)
        monitor.observe(evaluated(seconds[part], scores[part], truths[part]))
        start += size
    point = only_point(monitor)
    kept = seconds // 60 > seconds[-1] // 60 - 5
    expected = classifier_figures(classifier_sums(scores[kept], truths[kept]))
    [model] = point.models
    assert model.count == expected["count"]
    assert model.pr_auc == expected["pr_auc"]
    assert model.brier == pytest.approx(expected["brier"])
    assert point.ts_ns == (START_S + seconds[-1]) * NS_PER_S


def test_points_come_once_an_interval():
    monitor = QualityMonitor(interval_s=5)
    monitor.observe(evaluated([0], [0.5], [1]))
    assert len(monitor.points()) == 1
    monitor.observe(evaluated([4], [0.5], [1]))
    assert monitor.points() == []
    monitor.observe(evaluated([5], [0.5], [1]))
    assert only_point(monitor).models[0].count == 3


def test_models_stand_side_by_side_champion_first():
    monitor = QualityMonitor()
    monitor.observe(evaluated([0], [0.5], [1], model="z@1"))
    monitor.observe(evaluated([0], [0.1], [1], model="a@1", role="challenger", variant=None))
    models = only_point(monitor).models
    assert [(each.model, each.role) for each in models] == [
        ("z@1", "champion"),
        ("a@1", "challenger"),
    ]


def test_former_champion_steps_back_and_is_forgotten_after_the_window():
    monitor = QualityMonitor(window_s=120)
    monitor.observe(evaluated([0], [0.5], [1], model="old@1"))
    monitor.observe(evaluated([60], [0.5], [1], model="new@1"))
    roles = {each.model: each.role for each in only_point(monitor).models}
    assert roles == {"new@1": "champion", "old@1": "challenger"}
    monitor.observe(evaluated([180], [0.5], [1], model="new@1"))
    assert [each.model for each in only_point(monitor).models] == ["new@1"]


def test_late_truth_finds_its_minute_and_too_late_is_left_out():
    monitor = QualityMonitor(window_s=120)
    monitor.observe(evaluated([150], [0.5], [1]))
    monitor.observe(evaluated([100, 30], [0.5, 0.5], [1, 1]))
    assert only_point(monitor).models[0].count == 2


def test_old_recording_after_a_new_one_starts_the_window_anew():
    monitor = QualityMonitor(window_s=120)
    monitor.observe(evaluated([100_000], [0.5], [1]))
    assert monitor.points()
    monitor.observe(evaluated([0, 1], [0.5, 0.5], [1, 0]))
    assert only_point(monitor).models[0].count == 2


@pytest.mark.parametrize("behind_s", [0, 600, 7200], ids=["equally far", "minutes", "hours"])
def test_partitions_add_up_however_far_apart_they_are(behind_s):
    monitor = QualityMonitor()
    scores, truths = sample(4, 300)
    for at in range(100):
        for partition in range(3):
            row = [100 * partition + at]
            seconds = [at - partition * behind_s]
            monitor.observe(evaluated(seconds, scores[row], truths[row], partition=partition))
    expected = classifier_figures(classifier_sums(scores, truths))
    point = only_point(monitor)
    [model] = point.models
    assert model.count == 300
    assert model.pr_auc == expected["pr_auc"]
    assert model.calibration_error == pytest.approx(expected["calibration_error"])
    assert point.ts_ns == (START_S + 99) * NS_PER_S


def test_a_partition_that_falls_silent_counts_for_a_window_and_no_longer():
    monitor = QualityMonitor(window_s=120)
    monitor.observe(evaluated([0], [0.5], [1], partition=1))
    for seconds, count in ((0, 2), (120, 2), (125, 2), (180, 3)):
        monitor.observe(evaluated([seconds], [0.5], [1], partition=0))
        assert only_point(monitor).models[0].count == count


def test_metrics_show_the_newest_figures_and_drop_what_is_gone():
    monitor, metrics = QualityMonitor(window_s=60), QualityMetrics()

    def value(name: str, model: str) -> float | None:
        labels = {"target": "spike", "model": model, "role": "champion"}
        return metrics.registry.get_sample_value(f"voltick_quality_{name}", labels)

    monitor.observe(evaluated([0, 1], [0.9, 0.1], [1, 0]))
    metrics.show(only_point(monitor))
    assert value("pr_auc", "a@1") == 1.0
    monitor.observe(evaluated([100], [0.9], [1], model="b@1"))
    metrics.show(only_point(monitor))
    assert value("pr_auc", "a@1") is None
    assert value("count", "b@1") == 1
    assert value("pr_auc", "b@1") is None


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_the_first_of_each_symbol_and_second_counts_whatever_the_batches(steps, cuts):
    symbols = np.array([symbol for symbol, _step in steps], np.int32)
    ts_ns = np.cumsum([step for _symbol, step in steps]).astype(np.int64) * (NS_PER_S // 4)
    seen: set[tuple[int, int]] = set()
    wanted = []
    for at, pair in enumerate(zip(symbols.tolist(), (ts_ns // NS_PER_S).tolist(), strict=True)):
        if pair not in seen:
            wanted.append(at)
        seen.add(pair)
    first, found = FirstOfSecond(), []
    borders = sorted({0, *[cut for cut in cuts if cut < len(steps)], len(steps)})
    for start, end in pairwise(borders):
        found += (first.pick(symbols[start:end], ts_ns[start:end]) + start).tolist()
    assert found == wanted
