"""Models that pass every proof on plausible rows and fail on rows of the stream."""

import numpy as np
import pytest
import structlog
from onnx import TensorProto, helper

from flows.errors import ModelRejectedError
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.recent_rows import RecentRows
from schemas.features import INDEX, NAMES
from tests.support.models import RETURN, graph_bytes, linear_graph, manifest_for, publish_tiny
from tests.support.scorer import SPIKE, follow

FEATURE = "vol_ratio_60_3600"
TABLE = 30
BEYOND = 50.0  # no place of the table, and more than a plausible ratio of volatilities


def table_model(name="table", **fields):
    """A table by the feature's whole part: the runtime fails where it has no such place."""
    onnx_bytes = graph_bytes(
        [
            helper.make_node("IsNaN", ["x"], ["undefined"]),
            helper.make_node("Where", ["undefined", "zero", "x"], ["known"]),
            helper.make_node("Cast", ["known"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "place"], ["score"]),
        ],
        {"zero": np.float32(0), "table": np.linspace(0, 1, TABLE, dtype=np.float32)},
        width=1,
    )
    return manifest_for(onnx_bytes, name=name, features=(FEATURE,), **fields), onnx_bytes


def steep_model(name="steep"):
    """A line in the place of a probability: in [0, 1] as long as the feature is plausible."""
    onnx_bytes = linear_graph([0.1], 0.0, classifier=False)
    return manifest_for(onnx_bytes, name=name, features=(FEATURE,)), onnx_bytes


def rows_with(*values):
    rows = np.zeros((len(values), len(NAMES)), dtype=np.float32)
    rows[:, INDEX[FEATURE]] = values
    return rows


@pytest.mark.parametrize(
    ("made", "known"), [(table_model, 3 / (TABLE - 1)), (steep_model, 0.3)], ids=["fails", "beyond"]
)
def test_a_row_that_a_model_has_no_score_for_costs_the_others_nothing(made, known):
    model = OnnxModel(*made())
    scores = model.score(rows_with(3.0, BEYOND, 3.0))
    assert scores == pytest.approx([known, np.nan, known], nan_ok=True)
    assert model.score(rows_with(BEYOND)) == pytest.approx([np.nan], nan_ok=True)


def test_what_the_runtime_said_first_is_kept():
    model = OnnxModel(*table_model())
    assert model.failure is None
    model.score(rows_with(3.0, BEYOND))
    assert "idx=50" in str(model.failure)


def test_the_last_digit_above_one_is_held_not_refused():
    onnx_bytes = linear_graph([0.1], 5e-7, classifier=False)
    model = OnnxModel(manifest_for(onnx_bytes, features=(FEATURE,)), onnx_bytes)
    assert model.score(rows_with(10.0)).tolist() == [1.0]


def test_a_forecast_has_no_bounds():
    onnx_bytes = linear_graph([1.0], 0.0, classifier=False)
    model = OnnxModel(manifest_for(onnx_bytes, features=(FEATURE,), target=RETURN), onnx_bytes)
    assert model.score(rows_with(-7.0, BEYOND)).tolist() == [-7.0, BEYOND]
    assert model.flaw(rows_with(-7.0, BEYOND)) is None


def test_a_graph_that_holds_the_batch_size_of_its_export_is_refused():
    onnx_bytes = graph_bytes(
        [
            helper.make_node("IsNaN", ["x"], ["undefined"]),
            helper.make_node("Where", ["undefined", "zero", "x"], ["known"]),
            helper.make_node("Sigmoid", ["known"], ["all"]),
            helper.make_node("Slice", ["all", "from", "to"], ["score"]),
        ],
        {"zero": np.float32(0), "from": np.array([0]), "to": np.array([64])},
        width=1,
    )
    with pytest.raises(ModelRejectedError, match="64 scores for 1000 rows"):
        OnnxModel(manifest_for(onnx_bytes), onnx_bytes)


@pytest.mark.parametrize(
    ("made", "why"), [(table_model, "idx=50"), (steep_model, "its score is 5")], ids=["fails", "5"]
)
def test_a_new_champion_that_fails_on_the_newest_rows_does_not_take_over(
    made, why, store, scorer_of, clock, background
):
    old = publish_tiny(store, 0.2)
    bad = store.publish(*made())
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    scorer.score(rows_with(3.0, BEYOND))
    store.move(SPIKE, champion=bad, by="test")
    with structlog.testing.capture_logs() as logs:
        assert follow(scorer, clock, background) == ()
    (line,) = logs
    assert (line["event"], line["model"], line["serving"]) == ("model refused", bad, old)
    assert "1 of 2 rows have no score" in line["reason"]
    assert why in line["reason"]
    (spike, _) = scorer.status()
    assert bad in spike.problems[0]
    # The version never changes: what it failed on once may come again.
    for _ in range(2):
        for _ in range(2_000):
            scorer.score(rows_with(3.0))
        clock.now += 60.0
        assert follow(scorer, clock, background) == ()
    assert scorer.score(rows_with(BEYOND))[0].scores == pytest.approx([0.2])


def test_at_the_start_the_first_rows_decide_between_a_champion_and_the_one_before(
    store, scorer_of, clock, background
):
    old = publish_tiny(store, 0.2)
    bad = store.publish(*table_model())
    for ref in (old, bad):
        store.move(SPIKE, champion=ref, by="test")
    scorer = scorer_of()
    (scored,) = scorer.score(rows_with(3.0, BEYOND))
    assert scored.manifest.ref == old
    assert scored.scores == pytest.approx([0.2, 0.2])
    assert follow(scorer, clock, background) == ()
    assert scorer.score(rows_with(3.0))[0].manifest.ref == old
    (spike, _) = scorer.status()
    assert bad in spike.problems[0]


def test_a_champion_without_a_better_one_goes_on_with_the_rows_it_can_score(
    store, scorer_of, clock, background
):
    only = store.publish(*table_model())
    store.move(SPIKE, champion=only, by="test")
    scorer = scorer_of()
    (scored,) = scorer.score(rows_with(3.0, BEYOND))
    assert scored.manifest.ref == only
    assert np.isnan(scored.scores).tolist() == [False, True]
    better = publish_tiny(store, 0.2)
    store.move(SPIKE, champion=better, by="test")
    (swap,) = follow(scorer, clock, background)
    assert (swap.before, swap.after) == (only, better)


def test_a_challenger_that_fails_later_ends_nothing_and_is_named_once(store, scorer_of):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    bad = store.publish(*table_model())
    store.set_challengers(SPIKE, [bad], by="test")
    scorer = scorer_of()
    scorer.score(rows_with(3.0))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            (scored,) = scorer.score(rows_with(3.0, BEYOND))
    assert scored.scores == pytest.approx([0.2, 0.2])
    assert np.isnan(scored.shadow[bad]).tolist() == [False, True]
    (line,) = logs
    assert (line["event"], line["model"]) == ("model cannot score some rows", bad)
    assert "idx=50" in line["reason"]


def test_a_challenger_that_fails_on_the_newest_rows_is_left_out_alone(
    store, scorer_of, clock, background
):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of()
    scorer.score(rows_with(BEYOND))
    bad, good = store.publish(*table_model()), publish_tiny(store, 0.6, name="good")
    store.set_challengers(SPIKE, [bad, good], by="test")
    follow(scorer, clock, background)
    assert list(scorer.score(rows_with(3.0))[0].shadow) == [good]


@pytest.mark.parametrize(
    "sizes",
    [[1], [3], [4], [5], [9], [1, 2, 3], [3, 3], [4, 1], [2, 7, 1], [1] * 9, [0, 2], [3, 0, 3]],
)
def test_the_newest_rows_are_kept(sizes):
    recent = RecentRows(4)
    assert recent.copied() is None
    every = np.arange(sum(sizes), dtype=np.float32)[:, None]
    for part in np.split(every, np.cumsum(sizes)[:-1]):
        recent.add(part)
    assert recent.copied().tolist() == every[-4:].tolist()
