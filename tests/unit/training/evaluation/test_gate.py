"""The gate's cases, one by one."""

import msgspec
import numpy as np
import pytest

from flows.numeric.time import NS_PER_S
from schemas.models import ModelManifest, TargetSpec
from training.evaluation.gate import MIN_UNSEEN_BLOCKS, compare_files, decide, unseen
from training.evaluation.results import Comparison, Results, VariantResult

BETTER = Comparison(1.2, (1.1, 1.3), 0.99)
WORSE = Comparison(0.8, (0.7, 0.9), 0.01)
LUCKY = Comparison(1.02, (0.8, 1.2), 0.6)


TARGET = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
RETURN = TargetSpec(name="forward_return", kind="regression", definition="return")


def manifest(variant="har", **changes):
    base = ModelManifest(
        name="m",
        version="v",
        variant=variant,
        target=TARGET,
        sha256="",
        feature_set=1,
        features=[],
        provenance="recorded",
        created_ns=0,
        opset=17,
    )
    return msgspec.structs.replace(base, **changes)


def results(**qualities):
    made = {}
    for name, quality in qualities.items():
        draws = quality + np.linspace(-0.001, 0.001, 50)
        made[name] = VariantResult(name, name == "har", quality, (0, 1), draws, [quality], {})
    return Results("classification", 0.1, made)


def decision(champion, files=BETTER, blocks=20, provenance="recorded", serves="live", **qualities):
    return decide(
        candidate="logreg",
        target=msgspec.structs.replace(TARGET, level=1.5),
        provenance=provenance,
        serves=serves,
        champion=champion,
        results=results(**(qualities or {"har": 0.2, "logreg": 0.3})),
        file_against_file=lambda: (files, blocks),
    )


def test_it_takes_both_recipe_and_file_to_win():
    assert decision(manifest()).champion
    assert not decision(manifest(), files=WORSE).champion
    assert not decision(manifest(), har=0.3, logreg=0.2).champion


def test_a_lucky_file_is_not_enough():
    assert not decision(manifest(), files=LUCKY).champion


def test_without_enough_unseen_time_nobody_is_replaced():
    found = decision(manifest(), blocks=MIN_UNSEEN_BLOCKS - 1)
    assert not found.champion
    assert "9 blocks of time that neither was trained on" in found.reasons[-1]
    assert decision(manifest(), blocks=MIN_UNSEEN_BLOCKS).champion


def test_a_weak_champion_is_no_excuse_for_losing_to_the_best_baseline():
    found = decision(manifest(variant="zscore"), zscore=0.2, logreg=0.25, har=0.3)
    assert not found.champion
    assert "does not beat the best baseline, har" in found.reasons[0]


@pytest.mark.parametrize(
    "change", [{"horizon_s": 300}, {"definition": "absolute"}, {"lookback_s": 600}, {"version": 2}]
)
def test_a_champion_that_predicts_something_else_is_not_compared(change):
    found = decision(manifest(target=msgspec.structs.replace(TARGET, **change)))
    assert not found.champion
    assert "predicts something else" in found.reasons[0]


def test_the_same_recipe_is_judged_by_its_file():
    found = decision(manifest(variant="logreg"))
    assert found.champion
    assert "the same as the champion's" in found.reasons[1]


def test_an_unknown_recipe_is_judged_by_its_file():
    assert decision(manifest(variant="imported")).champion
    assert not decision(manifest(variant="imported"), files=WORSE).champion


def test_without_champion_the_best_baseline_must_be_beaten():
    assert decision(None).champion
    assert not decision(None, har=0.3, logreg=0.2).champion


@pytest.mark.parametrize(("serves", "champion"), [("live", False), ("simulated", True)])
def test_a_simulated_candidate_serves_simulated_feeds_only(serves, champion):
    assert decision(None, provenance="simulated", serves=serves).champion is champion


def test_real_data_replace_a_simulated_champion_if_they_beat_the_best_baseline():
    simulated = manifest(provenance="simulated")
    assert decision(simulated, files=WORSE).champion
    assert not decision(simulated, har=0.3, logreg=0.2).champion


def test_unseen_rows_keep_clear_of_training_on_both_sides():
    ts = np.arange(0, 100_000, 10, dtype=np.int64) * NS_PER_S
    rows = np.arange(len(ts))
    trained = manifest(data_from_ns=40_000 * NS_PER_S, data_to_ns=50_000 * NS_PER_S)
    clear = ts[unseen(rows, ts, trained, 60, 3_600)] // NS_PER_S
    assert clear[clear < 45_000].max() < 40_000 - 3_660
    assert clear[clear > 45_000].min() > 50_000 + 3_660
    assert len(unseen(rows, ts, manifest(), 60, 3_600)) == len(rows)


def test_rows_between_two_windows_of_training_are_unseen():
    ts = np.arange(0, 100_000, 10, dtype=np.int64) * NS_PER_S
    edges = [(0, 10_000 * NS_PER_S), (90_000 * NS_PER_S, 99_990 * NS_PER_S)]
    trained = manifest(data_from_ns=0, data_to_ns=99_990 * NS_PER_S, data_windows_ns=edges)
    clear = ts[unseen(np.arange(len(ts)), ts, trained, 60, 3_600)] // NS_PER_S
    assert clear.min() == 10_000 + 3_660 + 10
    assert clear.max() == 90_000 - 3_660 - 10


def test_files_are_compared_on_the_same_resamples():
    generator = np.random.default_rng(0)
    truth = generator.random(5_000) < 0.1
    ts = np.arange(5_000, dtype=np.int64) * 60 * NS_PER_S
    good, bad = truth + generator.normal(size=5_000), generator.normal(size=5_000)
    assert compare_files(truth, ts, good, bad, TARGET).chance > 0.99
    returns = generator.normal(size=5_000)
    found = compare_files(returns, ts, 0.3 * returns, 0 * returns, RETURN)
    assert found.lift > 1.2
