"""Each alarm catches a leak and stays silent without one."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from flows.errors import LeakError
from flows.numeric.time import NS_PER_S
from tests.support.ticks import START_NS, T, batch_of
from training.data.build import compute_features
from training.evaluation.leaks import check_future, check_shuffled, check_too_good
from training.evaluation.metrics import pr_auc


def walk(count=6_000, seed=0):
    generator = np.random.default_rng(seed)
    calm = np.repeat(generator.lognormal(0, 0.8, count // 100), 100)
    return 100 * np.exp(np.cumsum(1e-4 * calm * generator.normal(size=count)))


def rolling_deviation(returns, window=60):
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    return np.concatenate([np.full(window - 1, np.nan), views.std(axis=1)])


def test_the_shifted_rolling_deviation_is_caught_as_too_good():
    returns = np.diff(np.log(walk()))
    feature = rolling_deviation(returns)
    label_source = np.append(feature[1:], np.nan)
    known = ~np.isnan(feature) & ~np.isnan(label_source)
    truth = label_source[known] > np.quantile(label_source[known], 0.9)
    area = pr_auc(truth, feature[known])
    assert area > 0.95
    with pytest.raises(LeakError, match="shifted by one row"):
        check_too_good("leaking", area, area - 0.05, float(truth.mean()))


def test_the_true_forward_label_passes():
    returns = np.diff(np.log(walk()))
    feature = rolling_deviation(returns)
    future = np.append(feature[60:], np.full(60, np.nan))
    known = ~np.isnan(feature) & ~np.isnan(future)
    truth = future[known] > np.quantile(future[known], 0.9)
    area = pr_auc(truth, feature[known])
    check_too_good("honest", area, area, float(truth.mean()))


def test_a_common_event_may_be_ranked_well():
    check_too_good("common", 0.95, 0.94, 0.6)


def test_what_a_few_minutes_may_reach_by_chance_is_no_alarm():
    check_too_good("lucky", 0.95, 0.6, 0.3)
    with pytest.raises(LeakError):
        check_too_good("leaking", 0.95, 0.85, 0.3)


def shuffled_scores(overlap: bool):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(3_000, 5))
    truth = generator.random(3_000) < 0.1
    test = np.arange(2_000, 3_000)

    def fit_and_score(shuffled):
        train = np.arange(0, 3_000 if overlap else 2_000)
        model = RandomForestClassifier(20, random_state=0, n_jobs=1)
        model.fit(inputs[train], shuffled[train])
        return model.predict_proba(inputs[test])[:, 1], test

    return truth, fit_and_score


def test_test_rows_in_the_training_part_are_caught_by_shuffled_labels():
    with pytest.raises(LeakError, match="on shuffled labels"):
        check_shuffled("overlap", *shuffled_scores(True))


def test_shuffled_labels_fall_to_prevalence_in_an_honest_run():
    assert check_shuffled("honest", *shuffled_scores(False)) < 4


def test_labels_encoded_into_a_feature_are_caught_by_shuffled_labels():
    generator = np.random.default_rng(1)
    truth = generator.random(2_000) < 0.1

    def fit_and_score(shuffled):
        inputs = generator.normal(size=(2_000, 1)) + shuffled[:, None]
        model = LogisticRegression().fit(inputs[:1_000], shuffled[:1_000])
        return model.predict_proba(inputs[1_000:])[:, 1], np.arange(1_000, 2_000)

    with pytest.raises(LeakError, match="on shuffled labels"):
        check_shuffled("encoded", truth, fit_and_score)


def ticks(count=2_000):
    prices = walk(count)
    return batch_of(
        [
            T(START_NS + k * NS_PER_S // 2, price, bid=price - 0.01, ask=price + 0.01, size=1.0)
            for k, price in enumerate(prices)
        ]
    )


def test_the_kernel_does_not_look_ahead():
    check_future(ticks(), lambda batch: compute_features(batch).values.astype(float), [*"x"] * 60)


def test_a_centred_window_is_caught_by_name():
    def features(batch):
        centred = np.convolve(batch.price, np.ones(11) / 11, "same")
        return np.stack([batch.price, centred], axis=1)

    with pytest.raises(LeakError, match="change earlier values of centred;"):
        check_future(ticks(), features, ["price", "centred"])


def test_future_quotes_alone_are_seen_too():
    def features(batch):
        return np.append(batch.bid[1:], np.nan)[:, None]

    with pytest.raises(LeakError, match="next_bid"):
        check_future(replace(ticks(), ticks=[]), features, ["next_bid"])
