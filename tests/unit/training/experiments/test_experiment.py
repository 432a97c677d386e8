"""A whole run on made-up rows: judged, proven, gated, published, or stopped."""

import dataclasses

import msgspec
import numpy as np
import pytest
import structlog
from sklearn.neural_network import MLPRegressor

from flows.errors import LeakError, TrainingError
from flows.numeric.time import NS_PER_S
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.registry import ModelStore
from schemas.features import INDEX
from schemas.models import TargetSpec
from schemas.training import encode_result
from tests.support.models import publish_tiny
from tests.support.synthetic import dataset
from training.estimators.fitted import Model, Scaled
from training.estimators.preprocessing import Preprocessor
from training.estimators.recipes import FORECASTERS, Recipe
from training.evaluation.cross_validation import fit_variant, make_plan
from training.evaluation.results import summarise
from training.experiments.experiment import ExperimentOptions, run_experiment

SPIKE = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
RETURN = TargetSpec(name="forward_return", kind="regression", definition="return")
CREATED_NS = 1_750_000_000 * NS_PER_S


def options(**changes) -> ExperimentOptions:
    return ExperimentOptions(**{"models": ("logreg",), "folds": 2, "publish": True, **changes})


def run(data, store, spec=SPIKE, created_ns=CREATED_NS, **changes):
    return run_experiment(data, spec, options(**changes), store=store, created_ns=created_ns)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    store = ModelStore(tmp_path_factory.mktemp("store"))
    return store, run(dataset(), store, models=("logreg", "gbt_tuned"))


def test_every_variant_is_published_with_its_report(first):
    store, outcome = first
    assert set(outcome.publication.refs) == {
        *("last_minute", "zscore", "ewma", "har", "logreg", "gbt_tuned")
    }
    for name, ref in outcome.publication.refs.items():
        manifest, onnx_bytes = store.read(ref)
        assert manifest.variant == name
        assert manifest.target.level == outcome.spec.level
        assert {"report.html", "model_card.md", "metrics.json"} <= set(store.files(ref))
        scores = OnnxModel(manifest, onnx_bytes).score(dataset(hours=1).values)
        assert ((scores >= 0) & (scores <= 1)).all()


def test_the_first_honest_candidate_becomes_champion_beside_the_best_baseline(first):
    store, outcome = first
    aliases = store.aliases("volatility_spike")
    assert outcome.decision.champion
    assert aliases.champion == outcome.publication.refs["logreg"]
    best = outcome.results.best(baseline=True)
    assert aliases.challengers == [outcome.publication.refs[best]]


def test_the_manifest_says_what_was_undefined_and_when_the_data_ended(first):
    _, outcome = first
    manifest = outcome.versions["logreg"].manifest
    assert manifest.unused_features == ["notional_60"]
    assert manifest.data_to_ns + 3_660 * NS_PER_S < dataset().ts_ns[-1]
    assert {one.feature for one in manifest.reference} == set(manifest.features)
    assert manifest.metrics["pr_auc_low"] < manifest.metrics["pr_auc"]


def test_the_report_is_one_page_without_links_to_elsewhere(first):
    store, outcome = first
    page = store.file(outcome.publication.refs["logreg"], "report.html").decode()
    assert 'src="data:image/png;base64,' in page
    assert "http://" not in page
    assert "https://" not in page
    for part in ("Folds", "Precision and recall", "Reliability", "Permutation", "Gate", "Limits"):
        assert part in page


def test_the_last_line_names_all_that_is_asked_for(first):
    _, outcome = first
    line = msgspec.json.decode(
        encode_result(
            summarise(
                target="volatility_spike",
                version="x@y",
                published=True,
                champion=True,
                results=outcome.results,
                candidate="logreg",
                versions=outcome.publication.refs,
            )
        )
    )
    assert list(line) == [
        *("target", "version", "published", "champion", "prevalence", "pr_auc", "pr_auc_ci"),
        *("best_baseline", "best_baseline_pr_auc", "lift", "lift_ci", "variants"),
    ]
    assert line["lift"] == pytest.approx(line["pr_auc"] / line["best_baseline_pr_auc"])
    assert line["lift_ci"][0] < line["lift"] < line["lift_ci"][1]
    assert set(line["variants"]) == set(outcome.publication.refs)


def test_the_same_recipe_on_the_same_data_stays_a_challenger(first):
    store, _ = first
    before = store.aliases("volatility_spike").champion
    again = run(dataset(), store, created_ns=CREATED_NS + NS_PER_S)
    assert not again.decision.champion
    assert store.aliases("volatility_spike").champion == before
    assert again.publication.refs["logreg"] in store.aliases("volatility_spike").challengers


def test_two_runs_that_begin_in_one_second_are_both_published(tmp_path):
    store = ModelStore(tmp_path)
    found = [run(dataset(), store).publication.refs for _ in range(2)]
    assert len({ref for refs in found for ref in refs.values()}) == 2 * len(found[0])
    assert all(store.manifest(ref) for refs in found for ref in refs.values())


def test_a_champion_that_came_meanwhile_stays(tmp_path):
    """Another trainer, or an operator, was faster: nothing was compared with that champion."""
    store, others = ModelStore(tmp_path), []

    def step(what: str) -> None:
        if what == "report logreg":
            others.append(publish_tiny(store))
            store.move("volatility_spike", champion=others[0], by="another")

    outcome = run_experiment(dataset(), SPIKE, options(), store=store, created_ns=1, step=step)
    assert outcome.decision.champion
    assert not outcome.publication.champion
    aliases = store.aliases("volatility_spike")
    assert aliases.champion == others[0]
    assert outcome.publication.refs["logreg"] in aliases.challengers


def test_a_simulated_model_never_becomes_champion_of_a_live_feed(tmp_path):
    store = ModelStore(tmp_path)
    data = dataclasses.replace(dataset(), provenance="simulated")
    live = run(data, store)
    assert not live.decision.champion
    assert "simulated" in live.decision.reasons[0]
    assert store.aliases("volatility_spike").champion is None
    simulated = run(data, store, created_ns=CREATED_NS + NS_PER_S, serves="simulated")
    assert simulated.decision.champion
    real = run(dataset(seed=1), store, created_ns=CREATED_NS + 2 * NS_PER_S)
    assert real.decision.champion


def test_without_publish_nothing_is_written(tmp_path):
    outcome = run(dataset(), ModelStore(tmp_path / "store"), publish=False)
    assert outcome.publication is None
    assert not (tmp_path / "store").exists()


def test_a_forecast_is_judged_against_persistence(tmp_path):
    data = dataset()
    data.quantity[:] = np.random.default_rng(3).normal(0, 1e-3, len(data))
    outcome = run(data, ModelStore(tmp_path), RETURN, models=("ridge", "mlp"))
    assert outcome.results.best(baseline=True) == "persistence"
    assert outcome.results.compare("ridge", "persistence").lift < 1.01
    assert outcome.versions["ridge"].manifest.threshold is None
    assert outcome.versions["persistence"].manifest.features == ["log_return_1"]


def test_a_forecast_has_to_beat_an_autoregression_too(tmp_path):
    """A market that moves on as it moved last: persistence is no bar there."""
    data = dataset()
    data.quantity[:] = 0.5 * data.values[:, INDEX["log_return_60"]]
    data.quantity[:] += np.random.default_rng(3).normal(0, 1.5 * data.quantity.std(), len(data))
    outcome = run(data, ModelStore(tmp_path), RETURN, models=("ridge",))
    assert outcome.results.best(baseline=True) == "ar1"
    assert outcome.results.compare("ar1", "persistence").lift > 1.1
    assert outcome.versions["ar1"].manifest.features == ["log_return_60"]
    assert not outcome.decision.champion
    assert "the best baseline, ar1" in outcome.decision.reasons[1]


def test_an_autoregression_that_follows_a_bounce_hides_no_leak(tmp_path):
    """All variants are held against persistence: the best baseline knows the way back as well."""
    data = dataset()
    data.quantity[:] = -data.values[:, INDEX["log_return_60"]]
    with pytest.raises(LeakError, match="lowers persistence's RMSE"):
        run(data, ModelStore(tmp_path), RETURN, models=("ridge",))


def test_a_label_that_overlaps_the_features_stops_the_job(tmp_path):
    data = dataset()
    leaked = dataclasses.replace(
        data, quantity=data.values[:, INDEX["grid_vol_60"]].astype(np.float64)
    )
    with pytest.raises(LeakError, match=r"PR-AUC (0\.9\d+|1\.000) at prevalence"):
        run(leaked, ModelStore(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_infinite_features_are_refused_by_name(tmp_path):
    data = dataset()
    data.values[100, INDEX["spread_bps"]] = np.inf
    with pytest.raises(TrainingError, match="infinite values in the features spread_bps"):
        run(data, ModelStore(tmp_path))


def test_a_forecast_of_a_price_that_never_moves_is_refused(tmp_path):
    """Nothing can be told apart there: persistence is exact, and so is everybody else's zero."""
    data = dataset()
    data.quantity[:] = 0.0
    with pytest.raises(TrainingError, match=r"one value only in fold1's .* does not move"):
        run(data, ModelStore(tmp_path), RETURN, models=("ridge",))


def test_a_part_in_which_the_price_never_moves_is_cut_otherwise(tmp_path):
    """A quiet end of the data is no holdout: a longer one is taken."""
    data = dataset()
    data.quantity[:] = np.random.default_rng(3).normal(0, 1e-3, len(data))
    whole = data.ts_ns[-1] - data.ts_ns[0]
    data.quantity[data.ts_ns > data.ts_ns[-1] - 0.2 * whole] = 0.0
    plan = make_plan(data, RETURN, 2, 3600)
    assert data.quantity[plan.holdout.test].std() > 0
    assert all(data.quantity[fold.test].std() > 0 for fold in plan.folds)


def test_a_fit_that_does_not_converge_is_one_line_of_the_log():
    """Not a warning of a library, with its path and source, on the newcomer's terminal."""
    short = Recipe(
        "short",
        FORECASTERS[0].inputs,
        lambda inputs, columns, _fitting: Model(
            Preprocessor(inputs, columns),
            Scaled(MLPRegressor(hidden_layer_sizes=(2,), max_iter=2, random_state=0)),
        ),
    )
    data = dataset()
    data.quantity[:] = np.random.default_rng(3).normal(0, 1e-3, len(data))
    rows = np.arange(500)
    with structlog.testing.capture_logs() as lines:
        fit_variant(short, data, rows, data.quantity[rows], seed=0, budget=0.05)
    assert [(line["log_level"], line["variant"]) for line in lines] == [("warning", "short")]


def test_inputs_that_never_vary_are_named(tmp_path):
    data = dataset()
    data.values[:, INDEX["grid_vol_60"]] = 1e-4
    with pytest.raises(TrainingError, match="last_minute has no input that varies: grid_vol_60"):
        run(data, ModelStore(tmp_path))


def test_a_quantity_that_never_varies_has_no_positive_label(tmp_path):
    data = dataset()
    data.quantity[:] = 1.0
    with pytest.raises(TrainingError, match="no positive label in fold1"):
        run(data, ModelStore(tmp_path))


def test_a_test_part_with_one_class_is_merged_with_its_neighbour_or_refused(tmp_path):
    data = dataset()
    late = data.ts_ns > data.ts_ns[int(0.54 * len(data))]
    data.quantity[late & (data.ts_ns < data.ts_ns[int(0.64 * len(data))])] = 0.0
    outcome = run(data, None, folds=6, publish=False)
    assert len(outcome.scored.folds) < 6
    data.quantity[late] = 9e9
    with pytest.raises(TrainingError, match="one class only in"):
        run(data, None, folds=6, publish=False)


def test_unknown_variants_are_named_with_the_known():
    with pytest.raises(TrainingError, match="unknown variant lstm; known are last_minute"):
        run(dataset(hours=1), None, models=("lstm",))
