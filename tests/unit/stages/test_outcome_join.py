"""Outcomes against the labels of training, whatever the batches and wherever a run began."""

import json
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
from flows.monitoring.quality_windows import combine
from flows.numeric.time import NS_PER_S
from flows.stages.outcome_join import DEFAULT_SPAN, OutcomeJoin
from flows.stages.specs import RETRY_S, Specs, span_of
from flows.targets import Realizer
from schemas.models import TargetSpec
from schemas.predictions import Outcome, Prediction
from schemas.quality import QualityPoint
from tests.support.outcomes import expected, own, stream

SPIKE = TargetSpec(name="spike", kind="classification", definition="relative", level=1.1)
CALM = TargetSpec(name="calm", kind="classification", definition="absolute", level=0.002)
MOVE = TargetSpec(name="move", kind="regression", definition="return")
MODELS = {"spike": "s@1", "calm": "c@1", "move": "m@1"}
SPECS = {"s@1": SPIKE, "c@1": CALM, "m@1": MOVE}


def step(
    monitor=None,
    spec_of=SPECS.get,
    publish=lambda _points: None,
    metrics=None,
    spans=(DEFAULT_SPAN,),
) -> OutcomeJoin:
    return OutcomeJoin(
        spec_of, spans, monitor or QualityMonitor(), metrics or QualityMetrics(), publish
    )


def into(points: list[QualityPoint]):
    """Return what appends a point of each target's windows."""
    return lambda found: points.extend(map(combine, found))


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
        values = {name: (each.value, each.truth) for name, each in outcome.scores.items()}
        assert values == wanted[outcome.offset][1]
        for name, joined in outcome.scores.items():
            assert joined.score == source.scores[name].score
            assert joined.shadow == source.scores[name].shadow


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
    found = run(
        step(monitor, publish=into(points)),
        batches(made, range(0, 600, 50)),
    )
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


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Manifest:
    def __init__(self, target: TargetSpec) -> None:
        self.target = target


def test_a_known_target_is_asked_for_once_and_an_unknown_one_once_a_minute():
    asked = []
    store = {"s@1": Manifest(SPIKE), "raw@1": Manifest(msgspec.structs.replace(SPIKE, level=None))}

    def manifest_of(ref: str):
        asked.append(ref)
        if ref not in store:
            message = "not in the store"
            raise ModelRejectedError(message)
        return store[ref]

    clock = Clock()
    specs = Specs(manifest_of, (ModelRejectedError,), clock)
    refs = ["s@1", "s@1", "new@1", "new@1", "raw@1"]
    assert [specs(ref) for ref in refs] == [SPIKE, SPIKE, None, None, None]
    assert asked == ["s@1", "new@1", "raw@1"]
    store["new@1"] = Manifest(MOVE)
    assert specs("new@1") is None
    clock.now_s += RETRY_S
    assert [specs("new@1"), specs("new@1"), specs("raw@1")] == [MOVE, MOVE, None]
    assert asked == ["s@1", "new@1", "raw@1", "new@1", "raw@1"]
    assert span_of(SPIKE) == DEFAULT_SPAN


def test_a_model_that_is_published_while_the_flow_runs_has_outcomes_from_then_on():
    made = stream(1, 600, {"spike": "s@1"})
    specs: dict[str, TargetSpec] = {}
    metrics = QualityMetrics()
    join = step(spec_of=specs.get, metrics=metrics)
    first, second = list(batches(made, [300]))
    assert run(join, [first]) == []
    assert dropped(metrics) > 0
    specs["s@1"] = SPIKE
    assert run(join, [second])


def dropped(metrics: QualityMetrics) -> float | None:
    return metrics.registry.get_sample_value("voltick_outcomes_dropped_total")


def test_every_prediction_without_an_outcome_is_counted():
    made = stream(1, 600, MODELS)
    for spec_of, models in ((lambda _ref: None, 0), ({"m@1": MOVE}.get, 1), (SPECS.get, 3)):
        metrics = QualityMetrics()
        found = run(step(spec_of=spec_of, metrics=metrics), batches(made, range(0, 600, 50)))
        assert bool(found) == bool(models)
        if models == 3:
            assert dropped(metrics) + len(found) == known_predictions(made)
        if models == 0:
            assert dropped(metrics) == known_predictions(made)


def known_predictions(made: list[Prediction]) -> int:
    """How many predictions a realizer has done with at the end."""
    realizer = Realizer(*DEFAULT_SPAN)
    realized = realizer.update(
        offset=np.arange(len(made)),
        symbol_id=np.array(["ABC".index(each.symbol) for each in made], np.int32),
        ts_event_ns=np.array([each.ts_event_ns for each in made]),
        mid=np.array([each.mid for each in made]),
        late=np.array([each.late for each in made]),
        gap=np.array([each.gap for each in made]),
        restart=np.array([each.restart for each in made]),
    )
    return len(realized.number)


QUICK = TargetSpec(
    name="quick", kind="regression", definition="return", horizon_s=10, lookback_s=600
)


def test_a_target_of_a_new_horizon_has_the_outcomes_of_a_run_from_the_beginning():
    old = stream(5, 4000, {"spike": "s@1"})
    made = [
        each
        if at < 1000
        else msgspec.structs.replace(
            each, scores={**each.scores, "quick": own("q@1", 0.5)}, symbol="A", restart=False
        )
        for at, each in enumerate(old)
    ]
    specs = {"s@1": SPIKE, "q@1": QUICK}
    cuts = range(0, 4000, 100)
    met = run(step(spec_of=specs.get), batches(made, cuts))
    known = run(step(spec_of=specs.get, spans=[DEFAULT_SPAN, span_of(QUICK)]), batches(made, cuts))
    quick = [each for each in met if "quick" in each[1].scores]
    wanted = [each for each in known if "quick" in each[1].scores]
    assert 500 < len(quick) < len(wanted)
    assert quick == wanted[-len(quick) :]
    assert [each for each in met if "spike" in each[1].scores] == [
        each for each in known if "spike" in each[1].scores
    ]


def test_a_late_prediction_counts_at_the_time_that_it_was_scored_at():
    base = stream(1, 1, {"spike": "s@1"})[0]
    start_ns = base.ts_event_ns // NS_PER_S * NS_PER_S

    def at(offset: int, seconds: float, *, late: bool = False) -> Prediction:
        ts_ns = start_ns + round(seconds * NS_PER_S)
        return msgspec.structs.replace(
            base, offset=offset, symbol="A", ts_event_ns=ts_ns, late=late, restart=False, gap=False
        )

    made = [at(0, 0.2), at(1, 1.1), at(2, 0.9, late=True), at(3, 0.3, late=True), at(4, 1.8)]
    made += [at(5 + number, 2 + number) for number in range(120)]
    points: list = []
    run(
        step(spec_of={"s@1": CALM}.get, publish=into(points)),
        batches(made, range(0, 125, 2)),
    )
    # Seconds 0 to 60, no second twice; what comes later is not known yet.
    assert points[-1].models[0].count == 61


FOREIGN = [
    pytest.param(b"", id="tombstone"),
    pytest.param(b"{", id="cut off"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[" * 100_000, id="deep array"),
    pytest.param(b'{"scores":' * 100_000, id="deep object"),
    pytest.param({"symbol": b"\xff"}, id="not UTF-8"),
    pytest.param({"partition": 2**31}, id="partition beyond 32 bits"),
    pytest.param({"partition": -1}, id="negative partition"),
    pytest.param({"offset": 2**63}, id="offset beyond 64 bits"),
    pytest.param({"offset": 10**400}, id="endless offset"),
    pytest.param({"feature_set": 2**31}, id="feature set beyond 32 bits"),
    pytest.param({"ts_event_ns": 2**63 - 1}, id="no time left"),
    pytest.param({"ts_event_ns": -(2**63)}, id="before all time"),
    pytest.param({"ts_scored_ns": 2**64}, id="scored beyond 64 bits"),
    pytest.param({"trade_id": -(2**63) - 1}, id="id beyond 64 bits"),
    pytest.param({"mid": 0}, id="no mid price"),
    pytest.param({"mid": -1.0}, id="negative mid price"),
    pytest.param({"symbol": "\\ud800"}, id="lone surrogate"),
    pytest.param({"scores": []}, id="scores of another type"),
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_bytes_on_predictions_stop_nothing(foreign):
    made = stream(1, 300, MODELS)
    values = [msgspec.json.encode(each) for each in made]
    if isinstance(foreign, dict):
        whole = {**json.loads(values[0]), **dict.fromkeys(foreign, "@")}
        [value] = foreign.values()
        text = value if isinstance(value, bytes) else str(value).encode()
        quoted = (
            b'"' + text + b'"' if isinstance(value, bytes | str) else json.dumps(value).encode()
        )
        foreign = json.dumps(whole).encode().replace(b'"@"', quoted)
    values[150:150] = [foreign]
    metrics = QualityMetrics()
    raw = RawBatch(0, values, list(range(301)), [0] * 301, next_offset=301)
    found = run(step(metrics=metrics), [raw])
    assert metrics.registry.get_sample_value("voltick_outcomes_unreadable_total") == 1
    assert {outcome.offset for _known, outcome in found} == set(expected(made, SPECS))


@pytest.mark.parametrize("score", [-1.0, 1.5, 1e300])
def test_a_foreign_score_that_is_no_probability_is_no_quality(score):
    points: list = []
    made = stream(1, 300, {"spike": "s@1"})
    made[3] = msgspec.structs.replace(
        made[3], warm=True, scores={"spike": own("s@1", score), "move": own("m@1", score)}
    )
    found = run(step(publish=into(points)), batches(made, []))
    assert {outcome.offset for _known, outcome in found} >= {made[9].offset}


def test_cold_predictions_get_outcomes_but_do_not_count_as_quality():
    made = [msgspec.structs.replace(each, warm=False) for each in stream(3, 300, MODELS)]
    points = []
    found = run(step(publish=into(points)), batches(made, []))
    assert found
    assert points == []
