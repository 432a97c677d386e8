"""Outcomes against the labels of training, whatever the batches and wherever a run began."""

from collections.abc import Iterable
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.errors import ModelRejectedError
from flows.monitoring.quality import QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.stages.outcome_join import DEFAULT_SPAN, OutcomeJoin, Specs, span_of
from schemas.models import TargetSpec
from schemas.predictions import Outcome, Prediction
from tests.support.outcomes import expected, stream

SPIKE = TargetSpec(name="spike", kind="classification", definition="relative", level=1.1)
CALM = TargetSpec(name="calm", kind="classification", definition="absolute", level=0.002)
MOVE = TargetSpec(name="move", kind="regression", definition="return")
MODELS = {"spike": "s@1", "calm": "c@1", "move": "m@1"}
SPECS = {"s@1": SPIKE, "c@1": CALM, "m@1": MOVE}


def step(monitor=None, spec_of=SPECS.get, publish=lambda _points: None) -> OutcomeJoin:
    return OutcomeJoin(
        spec_of, [DEFAULT_SPAN], monitor or QualityMonitor(), QualityMetrics(), publish
    )


def batches(made: list[Prediction], cuts: Iterable[int], first: int = 0, emit_from: int = 0):
    values = [msgspec.json.encode(each) for each in made]
    borders = sorted({first, *[cut for cut in (*cuts, emit_from) if cut > first], len(made)})
    for start, end in pairwise(borders):
        yield RawBatch(
            partition=0,
            values=values[start:end],
            offsets=list(range(start, end)),
            timestamps_ms=[0] * (end - start),
            next_offset=end,
            emit=start >= emit_from,
        )


def run(join: OutcomeJoin, raws: Iterable[RawBatch]) -> list[tuple[int, Outcome]]:
    found = []
    for raw in raws:
        _key, output = join(raw)
        for records in output.records:
            assert records.topic == "outcomes"
            outcomes = [msgspec.json.decode(value, type=Outcome) for value in records.values]
            assert [key.decode() for key in records.keys] == [each.symbol for each in outcomes]
            found += list(zip(records.offsets.tolist(), outcomes, strict=True))
    return found


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 599), max_size=12))
def test_outcomes_are_the_labels_of_training_whatever_the_batches(seed, cuts):
    made = stream(seed, 600, MODELS)
    found = run(step(), batches(made, cuts))
    wanted = expected(made, SPECS)
    by_offset = {each.offset: each for each in made}
    assert len(wanted) > 100
    assert sorted(outcome.offset for _known, outcome in found) == sorted(wanted)
    assert [known for known, _outcome in found] == sorted(known for known, _outcome in found)
    for known, outcome in found:
        source = by_offset[outcome.offset]
        assert (known, outcome.known_offset) == (wanted[outcome.offset][0],) * 2
        assert outcome.ts_known_ns == made[known].ts_event_ns
        assert outcome.ts_event_ns == source.ts_event_ns
        assert outcome.symbol == source.symbol
        values = {name: (own.value, own.truth) for name, own in outcome.scores.items()}
        assert values == wanted[outcome.offset][1]
        for name, own in outcome.scores.items():
            assert own.score == source.scores[name].score
            assert own.shadow == source.scores[name].shadow


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.integers(1, 1999),
    st.lists(st.integers(1, 1999), max_size=5),
    st.integers(0, 50),
)
def test_run_that_starts_at_rebuild_from_says_the_same(seed, committed, cuts, earlier):
    made = stream(seed, 2000, MODELS)
    first = step()
    rebuild_from = 0
    before = []
    for raw in batches(made[:committed], cuts):
        _key, output = first(raw)
        rebuild_from = output.rebuild_from
        before += [int(offset) for records in output.records for offset in records.offsets]
    uninterrupted = run(step(), batches(made, []))
    start = max(0, rebuild_from - earlier)
    again = run(step(), batches(made, cuts, first=start, emit_from=committed))
    assert again == [each for each in uninterrupted if each[0] >= committed]
    assert len(before) + len(again) == len(uninterrupted)


def test_rebuild_from_moves_on():
    _key, output = list(_outputs(stream(2, 6000, MODELS)))[-1]
    assert output.rebuild_from > 3000


def _outputs(made):
    join = step()
    for raw in batches(made, range(0, len(made), 500)):
        yield join(raw)


def test_batch_without_messages_only_commits():
    raw = RawBatch(0, [], [], [], next_offset=7)
    key, output = step()(raw)
    assert key == "00000"
    assert (output.next_offset, output.rebuild_from, output.records) == (7, 7, [])


def test_messages_that_are_no_predictions_are_counted_and_passed_over():
    made = stream(1, 300, MODELS)
    values = [msgspec.json.encode(each) for each in made]
    values[10:10] = [b"{", b"null"]
    metrics = QualityMetrics()
    join = OutcomeJoin(SPECS.get, [DEFAULT_SPAN], QualityMonitor(), metrics, lambda _points: None)
    raw = RawBatch(0, values, list(range(302)), [0] * 302, next_offset=302)
    found = run(join, [raw])
    assert metrics.registry.get_sample_value("voltick_outcomes_unreadable_total") == 2
    assert {outcome.offset for _known, outcome in found} == set(expected(made, SPECS))


def test_predictions_of_unknown_models_are_left_out():
    made = stream(1, 300, MODELS)
    found = run(step(spec_of={"m@1": MOVE}.get), batches(made, []))
    assert found
    assert {name for _known, outcome in found for name in outcome.scores} == {"move"}
    assert run(step(spec_of=lambda _ref: None), batches(made, [])) == []


def test_live_quality_compares_models_on_the_same_predictions():
    points = []
    monitor = QualityMonitor()
    made = stream(3, 600, MODELS)
    found = run(step(monitor, publish=points.extend), batches(made, range(0, 600, 50)))
    newest = {point.target: point for point in points}
    assert set(newest) == {"spike", "calm", "move"}
    champion, challenger = newest["spike"].models
    assert (champion.model, champion.role) == ("s@1", "champion")
    assert (challenger.model, challenger.role) == ("z@1", "challenger")
    assert champion.count == challenger.count > 100
    rows = [outcome.scores["spike"] for _known, outcome in found if "spike" in outcome.scores]
    last_hour = rows[-champion.count :]
    assert champion.prevalence == pytest.approx(np.mean([row.truth for row in last_hour]), abs=0.05)
    assert newest["move"].models[0].persistence_rmse > 0


def test_specs_are_asked_for_once_and_unknown_ones_are_none():
    asked = []

    class Manifest:
        target = SPIKE

    def manifest_of(ref: str):
        asked.append(ref)
        if ref == "gone@1":
            message = "not in the store"
            raise ModelRejectedError(message)
        if ref == "raw@1":
            raw = Manifest()
            raw.target = msgspec.structs.replace(SPIKE, level=None)
            return raw
        return Manifest()

    specs = Specs(manifest_of, (ModelRejectedError,))
    assert [specs("s@1"), specs("s@1"), specs("gone@1"), specs("gone@1"), specs("raw@1")] == [
        SPIKE,
        SPIKE,
        None,
        None,
        None,
    ]
    assert asked == ["s@1", "gone@1", "raw@1"]
    assert span_of(SPIKE) == DEFAULT_SPAN


def test_cold_predictions_get_outcomes_but_do_not_count_as_quality():
    made = [msgspec.structs.replace(each, warm=False) for each in stream(3, 300, MODELS)]
    points = []
    found = run(step(publish=points.extend), batches(made, []))
    assert found
    assert points == []
