"""Drift, told apart from a reference that never fitted, over a moving hour."""

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from flows.monitoring.drift import FIRST_MINUTES, WINDOW_MINUTES, DriftMonitor
from flows.monitoring.drift_metrics import DriftMetrics
from flows.numeric.histograms import (
    bin_counts,
    kolmogorov_smirnov,
    population_stability,
    share_beyond,
)
from schemas.drift import DriftReport, ModelDrift
from schemas.models import FeatureReference, ModelManifest
from tests.support.models import SPIKE, linear_graph, manifest_for

FEATURES = ("vol_ratio_60_3600", "vol_ratio_5_3600", "minute_position")
ROWS = 300


def reference(name: str, values: np.ndarray) -> FeatureReference:
    edges = np.quantile(values, np.linspace(0, 1, 11))
    counts = np.histogram(values, edges)[0].tolist()
    return FeatureReference(feature=name, edges=edges.tolist(), counts=counts, undefined=0)


def manifest(provenance: str = "recorded") -> ModelManifest:
    random = np.random.default_rng(1)
    plain = manifest_for(linear_graph([0.0] * 3, 0.0), features=FEATURES)
    return msgspec.structs.replace(
        plain,
        provenance=provenance,
        reference=[reference(name, random.normal(size=20_000)) for name in FEATURES],
        score_reference=reference("score", random.uniform(size=20_000)),
    )


def observe(
    monitor: DriftMonitor,
    model: ModelManifest,
    minutes: range,
    shift: float = 0.0,
    score: float = 0.0,
) -> None:
    for minute in minutes:
        random = np.random.default_rng(minute + 2)
        inputs = {name: np.clip(random.normal(shift, 1, ROWS), -3, 3) for name in FEATURES}
        monitor.observe(model, minute, inputs, random.uniform(size=ROWS) * (1 - score) + score)


def judged(monitor: DriftMonitor, *, simulated: bool = False) -> ModelDrift:
    report = monitor.report(SPIKE.name, simulated=simulated)
    assert report is not None
    [found] = report.models
    return found


def test_a_market_like_the_trainings_is_stable() -> None:
    monitor = DriftMonitor()
    observe(monitor, manifest(), range(20))
    found = judged(monitor)
    assert (found.state, found.causes, found.moved, found.fitted) == ("stable", [], 0.0, True)
    assert found.rows == 20 * ROWS
    assert found.score is not None
    assert max(each.psi or 1 for each in [*found.inputs, found.score]) < 0.1


def test_what_fitted_and_moved_is_drift_and_an_hour_later_the_old_rows_are_gone() -> None:
    monitor, model = DriftMonitor(), manifest()
    observe(monitor, model, range(FIRST_MINUTES))
    assert judged(monitor).fitted is True
    observe(monitor, model, range(FIRST_MINUTES, FIRST_MINUTES + WINDOW_MINUTES), shift=1.5)
    found = judged(monitor)
    assert (found.state, found.moved) == ("drift", 1.0)
    assert found.rows == WINDOW_MINUTES * ROWS
    assert "100% of the inputs have moved" in found.causes[0]


def test_scores_that_move_alone_are_drift() -> None:
    monitor = DriftMonitor()
    observe(monitor, manifest(), range(FIRST_MINUTES), score=0.5)
    found = judged(monitor)
    assert found.state == "drift"
    assert found.causes[0].startswith("the scores have moved")


def test_what_never_fitted_is_no_drift() -> None:
    monitor = DriftMonitor()
    observe(monitor, manifest(), range(FIRST_MINUTES), shift=1.5)
    found = judged(monitor)
    assert (found.state, found.fitted) == ("misfit", False)
    assert "has not fitted" in found.causes[0]


@pytest.mark.parametrize("fitted", [None, True, False])
def test_some_minutes_of_one_calm_tell_nothing(fitted: bool | None) -> None:
    monitor, model = DriftMonitor(), manifest()
    before = ModelDrift(model=model.ref, state="unknown", causes=[], rows=0, fitted=fitted)
    monitor.restore(DriftReport(target=SPIKE.name, ts_ns=0, from_ns=0, models=[before]))
    observe(monitor, model, range(FIRST_MINUTES - 1), shift=1.5)
    found = judged(monitor)
    assert (found.state, found.moved, found.fitted) == ("unknown", None, fitted)
    assert found.causes == ["rows of 44 minutes are known, and 45 are needed"]


def test_the_position_in_an_hour_of_which_a_part_is_known_is_left_out() -> None:
    hour = reference("hour_position", np.linspace(0.0, 1.0, 20_001))
    other = reference(FEATURES[0], np.random.default_rng(1).normal(size=20_000))
    model = msgspec.structs.replace(
        manifest_for(linear_graph([0.0] * 2, 0.0), features=("hour_position", FEATURES[0])),
        reference=[hour, other],
    )
    monitor = DriftMonitor()
    for minute in range(FIRST_MINUTES):
        random = np.random.default_rng(minute)
        position = (minute + random.uniform(size=ROWS)) / 60
        inputs = {"hour_position": position, FEATURES[0]: np.clip(random.normal(size=ROWS), -3, 3)}
        monitor.observe(model, minute, inputs, np.empty(0))
    found = judged(monitor)
    assert (found.state, found.moved) == ("stable", 0.0)


def test_a_training_on_another_kind_of_market_is_named() -> None:
    monitor = DriftMonitor()
    observe(monitor, manifest("simulated"), range(5), shift=1.5)
    found = judged(monitor)
    assert found.state == "misfit"
    assert "simulated" in found.causes[0]
    assert judged(monitor, simulated=True).state == "unknown"


def test_values_beyond_all_that_was_seen_are_of_another_market() -> None:
    monitor, model = DriftMonitor(), manifest()
    for minute in range(5):
        monitor.observe(model, minute, {name: np.full(ROWS, 9.0) for name in FEATURES}, np.empty(0))
    found = judged(monitor)
    assert found.state == "misfit"
    assert found.causes[0].startswith("100% of the values lie beyond")


def test_an_earlier_run_tells_what_fitted() -> None:
    before, after = DriftMonitor(), DriftMonitor()
    observe(before, manifest(), range(20))
    report = before.report(SPIKE.name, simulated=False)
    assert report is not None
    after.restore(report)
    observe(after, manifest(), range(20, 20 + FIRST_MINUTES), shift=1.5)
    assert judged(after).state == "drift"


def test_what_fitted_is_known_to_have_fitted_after_an_hour_of_silence() -> None:
    monitor, model = DriftMonitor(), manifest()
    observe(monitor, model, range(FIRST_MINUTES))
    assert judged(monitor).fitted is True
    other = msgspec.structs.replace(model, name="other")
    later = FIRST_MINUTES + WINDOW_MINUTES
    observe(monitor, other, range(later, later + 1))
    assert judged(monitor).model == other.ref
    again = DriftMonitor()  # nothing but the time without rows tells this one from the next
    for each in (monitor, again):
        observe(each, model, range(later, later + FIRST_MINUTES), shift=2.0)
    states = [
        next(found for found in report.models if found.model == model.ref).state
        for report in (each.report(SPIKE.name, simulated=False) for each in (monitor, again))
        if report is not None
    ]
    assert states == ["drift", "misfit"]


def test_a_clock_that_was_put_right_begins_the_window_anew() -> None:
    monitor, model = DriftMonitor(), manifest()
    ahead = 5 * WINDOW_MINUTES
    observe(monitor, model, range(ahead, ahead + 2), shift=2.0)
    monitor.move_to(FIRST_MINUTES - 1)
    observe(monitor, model, range(FIRST_MINUTES))
    found = judged(monitor)
    assert (found.rows, found.state) == (FIRST_MINUTES * ROWS, "stable")
    monitor.move_to(WINDOW_MINUTES - 1)
    monitor.move_to(0)  # within a window: an ordinary partition that is behind
    assert judged(monitor).rows == FIRST_MINUTES * ROWS


def test_too_few_rows_and_no_reference_are_unknown() -> None:
    monitor, model = DriftMonitor(), manifest()
    monitor.observe(model, 0, {FEATURES[0]: np.zeros(10)}, np.zeros(10))
    assert (judged(monitor).state, judged(monitor).causes) == ("unknown", ["too few rows yet"])
    bare = DriftMonitor()
    bare.observe(manifest_for(linear_graph([0.0], 0.0)), 0, {}, np.zeros(10))
    assert judged(bare).causes == ["the model has no reference"]


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    random = np.random.default_rng(5)
    known = reference("f", random.normal(size=1_000))
    values = np.where(random.random(900) < 0.1, np.nan, random.normal(0.3, 2, 900))
    whole = bin_counts(known, values)
    assert (bin_counts(known, values[:400]) + bin_counts(known, values[400:]) == whole).all()
    assert whole[:-1].sum() == 900
    defined = values[~np.isnan(values)]
    outside = (defined < known.edges[0]) | (defined > known.edges[-1])
    assert share_beyond(whole) == pytest.approx(outside.mean())
    assert population_stability(known, values) is not None


def test_the_distance_is_that_of_the_distributions_at_the_edges() -> None:
    random = np.random.default_rng(6)
    training, values = random.normal(size=5_000), random.normal(0.5, 1, 4_000)
    known = reference("f", training)
    edges = np.array(known.edges[1:-1])
    wanted = max(abs((values <= edge).mean() - (training <= edge).mean()) for edge in edges)
    found = kolmogorov_smirnov(known, bin_counts(known, values))
    assert found == pytest.approx(wanted, abs=1e-3)
    assert kolmogorov_smirnov(known, bin_counts(known, np.full(500, np.nan))) is None


def test_metrics_show_the_newest_report_alone() -> None:
    registry = CollectorRegistry()
    metrics = DriftMetrics(registry)
    monitor = DriftMonitor()
    observe(monitor, manifest(), range(20))
    report = monitor.report(SPIKE.name, simulated=False)
    assert report is not None
    metrics.show(report)
    labels = {"target": SPIKE.name, "model": report.models[0].model}
    value = registry.get_sample_value
    assert value("voltick_drift_state", {**labels, "state": "stable"}) == 1
    assert value("voltick_drift_state", {**labels, "state": "drift"}) == 0
    assert value("voltick_drift_psi", {**labels, "feature": "score"}) is not None
    assert value("voltick_drift_ks", {**labels, "feature": FEATURES[0]}) is not None
    metrics.show(msgspec.structs.replace(report, models=[]))
    assert "{" not in generate_latest(registry).decode()
