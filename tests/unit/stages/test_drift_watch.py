"""What is taken of the topics' ends for drift, and what comes of it."""

import msgspec
import numpy as np

from flows.codec.batch import RawBatch
from flows.errors import ModelRejectedError
from flows.numeric.time import NS_PER_S
from flows.stages.drift_watch import DriftWatch, KnownManifests, Sample
from schemas import topics
from schemas.drift import DriftReport
from schemas.features import FEATURE_SET, INDEX, NAMES
from schemas.models import FeatureReference
from schemas.predictions import FeatureRow, Prediction, TargetScore
from tests.support.api import prediction
from tests.support.models import SPIKE, linear_graph, manifest_for

START_NS = 1_750_000_020 * NS_PER_S
FEATURE = "vol_ratio_60_3600"


def row(at: int, value: float | None = 1.0, **changes: object) -> FeatureRow:
    values: list[float | None] = [None] * len(NAMES)
    values[INDEX[FEATURE]] = value
    plain: dict = {
        "symbol": "A",
        "venue": "v",
        "ts_event_ns": START_NS + at * NS_PER_S,
        "feature_set": FEATURE_SET,
        "warm": True,
        "values": values,
        "partition": 0,
        "offset": at,
    }
    return FeatureRow(**{**plain, **changes})


def at_time(message: FeatureRow | Prediction, begin_ns: int) -> FeatureRow | Prediction:
    at_ns = begin_ns + message.ts_event_ns - START_NS
    return msgspec.structs.replace(message, ts_event_ns=at_ns)


def flat(by_minute: dict[int, list[FeatureRow]]) -> list[FeatureRow]:
    return [each for found in by_minute.values() for each in found]


def batch(messages: list, first: int = 0) -> RawBatch:
    return RawBatch(
        partition=0,
        values=[msgspec.json.encode(each) for each in messages],
        offsets=list(range(first, first + len(messages))),
        timestamps_ms=[1] * len(messages),
        next_offset=first + len(messages),
    )


def test_a_sample_is_the_first_warm_row_of_each_symbol_and_second_and_each_once() -> None:
    sample = Sample()
    decode = msgspec.json.Decoder(FeatureRow).decode
    rows = [row(0), row(0, symbol="B"), row(0), row(1, warm=False), row(2)]
    first = sample.new([batch(rows)], decode)
    assert [(each.symbol, each.offset) for each in flat(first)] == [
        ("A", 0),
        ("B", 0),
        ("A", 2),
    ]
    again = sample.new([batch([*rows[3:], row(3)], first=3)], decode)
    assert [each.offset for each in flat(again)] == [3]


def test_a_late_tick_does_not_make_its_second_count_twice_and_a_clock_set_back_does() -> None:
    sample = Sample()
    decode = msgspec.json.Decoder(FeatureRow).decode
    rows = [row(at) for at in (100, 99, 100, 101, 0, 1)]
    found = sample.new([batch(rows)], decode)
    seconds = sorted(each.ts_event_ns - START_NS for each in flat(found))
    assert seconds == [at * NS_PER_S for at in (0, 1, 100, 101)]


def test_a_topic_that_was_made_anew_is_read_anew_and_foreign_messages_are_passed_over() -> None:
    sample = Sample()
    decode = msgspec.json.Decoder(FeatureRow).decode
    sample.new([batch([row(at) for at in range(5)])], decode)
    anew = sample.new([batch([{"not": "a row"}, row(9)])], decode)
    assert [each.offset for each in flat(anew)] == [9]


def test_the_models_that_scored_are_compared_with_their_training() -> None:
    known = np.linspace(0, 1, 101)
    reference = FeatureReference(
        feature=FEATURE,
        edges=np.quantile(known, np.linspace(0, 1, 11)).tolist(),
        counts=[10] * 10,
        undefined=0,
    )
    manifest = msgspec.structs.replace(
        manifest_for(linear_graph([0.0], 0.0), features=(FEATURE,)), reference=[reference]
    )
    own = TargetScore(score=0.5, model=manifest.name, version=manifest.version, variant="x")
    seconds = range(1_000)
    random = np.random.default_rng(0)
    rows = [row(at, float(random.random())) for at in seconds]
    predictions = [
        prediction(
            "A",
            offset=at,
            ts_scored_ns=1,
            ts_event_ns=START_NS + at * NS_PER_S,
            warm=True,
            scores={SPIKE.name: own},
        )
        for at in seconds
    ]
    tails = {topics.PREDICTIONS: predictions, topics.TICKS_FEATURES: rows}
    reports: list[DriftReport] = []
    watch = DriftWatch(
        lambda topic: [batch(tails[topic])],
        lambda ref: manifest if ref == manifest.ref else None,
        reports.append,
    )
    watch.look()
    [report] = reports
    [found] = report.models
    assert (report.target, found.model, found.state) == (SPIKE.name, manifest.ref, "stable")
    assert found.rows == 1_000
    watch.look()
    assert reports[1].models[0].rows == 1_000

    # The clock was three hours ahead, and is put right.
    earlier = START_NS - 3 * 3_600 * NS_PER_S
    tails[topics.TICKS_FEATURES] = [*rows, *(at_time(each, earlier) for each in rows)]
    tails[topics.PREDICTIONS] = [*predictions, *(at_time(each, earlier) for each in predictions)]
    watch.look()
    assert (reports[2].models[0].rows, reports[2].models[0].state) == (1_000, "stable")
    assert reports[2].ts_ns < START_NS


def test_a_manifest_is_read_once_and_an_unknown_one_asked_for_again() -> None:
    asked: list[str] = []
    manifest = manifest_for(linear_graph([0.0], 0.0))

    def read(ref: str):
        asked.append(ref)
        if ref != manifest.ref:
            raise ModelRejectedError(ref)
        return manifest

    known = KnownManifests(read)
    assert [known(ref) for ref in (manifest.ref, manifest.ref, "x@1", "x@1")] == [
        manifest,
        manifest,
        None,
        None,
    ]
    assert asked == [manifest.ref, "x@1", "x@1"]
