"""Measures against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from flows.monitoring.figures import classifier_figures, classifier_sums
from flows.numeric.time import NS_PER_S
from training.evaluation import bootstrap as bs
from training.evaluation import metrics as ev


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1).filter(
        lambda rows: any(hit and weight for hit, _, weight in rows)
    )
)
def test_pr_auc_is_average_precision_with_ties_and_weights(rows):
    truth, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = ev.weighted_pr_auc(ev.rank(truth, score.astype(float)), weight.astype(float))
    assert found == pytest.approx(average_precision_score(truth, score, sample_weight=weight))


def test_pr_auc_without_an_event_is_unknown():
    assert np.isnan(ev.pr_auc(np.zeros(3, bool), np.arange(3.0)))


def test_blocks_keep_overlapping_rows_together():
    ts = np.array([0, 10, 1_799, 1_800, 9_000], np.int64) * NS_PER_S
    assert bs.time_blocks(ts, 1_800).tolist() == [0, 0, 0, 1, 2]


def interval_of(truth, score, ts, **options) -> tuple[float, float]:
    draws = bs.bootstrap("classification", truth, {"m": score}, ts, horizon_s=60, **options)
    return bs.interval(draws["m"])


@pytest.mark.parametrize(
    ("horizon_s", "expected"), [(60, 1_800), (300, 1_800), (3_600, 18_000), (86_400, 432_000)]
)
def test_a_block_is_longer_than_what_its_labels_share(horizon_s, expected):
    minutes = np.arange(5 * 24 * 60, dtype=np.int64) * 60 * NS_PER_S
    assert bs.block_length(minutes, horizon_s) == expected
    days = np.arange(100, dtype=np.int64) * 86_400 * NS_PER_S
    assert bs.block_length(days, horizon_s) == max(300, 5 * horizon_s)


def test_intervals_hold_for_any_horizon():
    """A score whose labels share an hour of future is no evidence by being right twice."""
    generator = np.random.default_rng(0)
    ts = np.arange(48 * 60, dtype=np.int64) * 60 * NS_PER_S
    hours = np.repeat(generator.random(48) < 0.3, 60)
    score = np.repeat(generator.normal(size=48), 60)
    draws = {
        horizon: bs.bootstrap("classification", hours, {"m": score}, ts, horizon_s=horizon)["m"]
        for horizon in (60, 3_600)
    }
    widths = {horizon: np.nanstd(draw) for horizon, draw in draws.items()}
    assert widths[3_600] > 1.2 * widths[60]


def test_intervals_by_block_are_wider_than_by_row_where_rows_overlap():
    generator = np.random.default_rng(0)
    spells = np.repeat(generator.random(60) < 0.2, 300)
    score = np.repeat(generator.normal(size=60), 300) + spells
    ts = np.arange(len(spells), dtype=np.int64) * 6 * NS_PER_S
    low, high = interval_of(spells, score, ts)
    rows = interval_of(spells, score, ts, block_s=6)
    assert high - low > 3 * (rows[1] - rows[0])


def test_resamples_are_paired_between_variants():
    generator = np.random.default_rng(0)
    truth = generator.random(2_000) < 0.2
    ts = np.arange(2_000, dtype=np.int64) * 60 * NS_PER_S
    score = generator.normal(size=2_000) + truth
    draws = bs.bootstrap(
        "classification", truth, {"a": score, "b": 2 * score + 1}, ts, horizon_s=60
    )
    assert np.array_equal(draws["a"], draws["b"])


def measures(truth, score) -> dict[str, float]:
    return ev.classification_metrics(truth, score, alert=score >= 0.5)


def test_brier_skill_is_zero_for_the_prevalence_and_one_for_the_truth():
    truth = np.array([True, False, False, False])
    assert measures(truth, np.full(4, 0.25))["brier_skill"] == pytest.approx(0)
    assert measures(truth, truth.astype(float))["brier_skill"] == pytest.approx(1)
    assert math.isnan(measures(np.ones(2, bool), np.full(2, 0.5))["brier_skill"])


def test_live_quality_and_training_mean_the_same_by_the_same_name():
    generator = np.random.default_rng(5)
    score = generator.random(5_000) ** 4
    truth = generator.random(5_000) < score
    live = classifier_figures(classifier_sums(score, truth.astype(np.float64)))
    offline = measures(truth, score)
    for name in ("prevalence", "brier_skill", "calibration_error"):
        assert offline[name] == pytest.approx(live[name], rel=1e-12)
    assert offline["pr_auc"] == pytest.approx(live["pr_auc"], abs=2e-3)
    assert offline["roc_auc"] == pytest.approx(live["roc_auc"], abs=2e-3)


def test_reliability_of_a_calibrated_score_lies_on_the_diagonal():
    generator = np.random.default_rng(0)
    score = generator.random(50_000)
    truth = generator.random(50_000) < score
    bins = ev.reliability(truth, score)
    assert bins.frequency == pytest.approx(bins.mean_score, abs=0.03)
    assert measures(truth, score)["calibration_error"] < 0.02


def test_confusion_by_hand():
    truth = np.array([True, True, False, False, False])
    alert = np.array([True, False, True, False, False])
    counts = ev.confusion(truth, alert)
    assert (counts.true_positive, counts.false_positive) == (1, 1)
    assert (counts.false_negative, counts.true_negative) == (1, 2)
    assert counts.precision == counts.recall == counts.f1 == 0.5
    nothing = ev.confusion(np.zeros(2, bool), np.zeros(2, bool))
    assert all(np.isnan([nothing.precision, nothing.recall, nothing.f1]))


def test_the_threshold_keeps_the_alert_budget():
    score = np.random.default_rng(0).random(1_000)
    assert np.mean(score >= ev.budget_threshold(score, 0.05)) == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize(
    ("score", "share"),
    [
        (np.full(1_000, 0.1), 0.0),
        (np.ones(1_000), 0.0),
        (np.r_[np.full(970, 0.02), np.linspace(0.5, 0.9, 30)], 0.03),
        (np.repeat([0.1, 0.2, 0.3], [500, 300, 200]), 0.0),
        (np.repeat([0.1, 0.2, 0.3], [500, 460, 40]), 0.04),
        (np.repeat([0.1, 0.3], [950, 50]), 0.05),
        (np.repeat([0.5, np.nextafter(0.5, 1)], [990, 10]), 0.01),
        (np.array([0.7]), 1.0),
    ],
    ids=["same", "certain", "calm", "leaves", "a rare leaf", "just fits", "neighbours", "one row"],
)
def test_scores_that_tie_alert_on_no_more_than_the_budget(score, share):
    threshold = ev.budget_threshold(score, 0.05)
    assert np.mean(score >= threshold) == pytest.approx(share)


def test_a_graph_that_rounds_otherwise_alerts_on_no_more_where_scores_tie():
    score = np.repeat([0.1, 0.2, 0.3], [500, 460, 40])
    threshold = ev.budget_threshold(score, 0.05)
    for rounding in (-1e-5, 1e-5):
        assert np.mean(score + rounding >= threshold) == pytest.approx(0.04)


def test_persistence_has_no_skill_over_itself():
    truth = np.random.default_rng(0).normal(size=100)
    metrics = ev.regression_metrics(truth, np.zeros(100))
    assert metrics["skill_over_persistence"] == pytest.approx(0)
    assert np.isnan(metrics["direction"])
    assert ev.regression_metrics(truth, truth)["direction"] == 1


def test_bootstrap_rmse_surrounds_the_rmse():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=5_000)
    ts = np.arange(5_000, dtype=np.int64) * 60 * NS_PER_S
    draws = bs.bootstrap("regression", truth, {"zero": np.zeros(5_000)}, ts, horizon_s=60)["zero"]
    low, high = bs.interval(draws)
    assert low < ev.regression_metrics(truth, np.zeros(5_000))["rmse"] < high
