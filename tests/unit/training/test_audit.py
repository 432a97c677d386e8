"""The audit finds what was changed in the flow's own output, and nothing where nothing was."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.codec.batch import RawBatch
from flows.monitoring.metrics import PipelineMetrics
from flows.scoring.promotion import prove
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from flows.stages.encode import EncodeStep
from flows.stages.score import DecodeStep, FeatureStep, ScoreStep
from schemas import topics
from schemas.features import INDEX
from tests.support.models import publish_tiny
from training.audit import line_of, until_offset
from training.consistency.blocks import BlockAudit
from training.consistency.compare import Account, Comparison, TopicTally
from training.consistency.recompute import Expected, Recomputation, recompute

START_NS = 1_750_000_000_000_000_000
COUNT = 400
Served = dict[str, list[bytes]]


def raw_log(first: int = 0, count: int = COUNT) -> RawBatch:
    """Two symbols, some duplicates, late ticks and broken messages."""
    values = []
    for number in range(count):
        tick = {
            "symbol": ("BTC-USD", "ETH-USD")[number % 2],
            "venue": "test",
            "ts_event_ns": START_NS + number * 1_700_000_000 - (number % 17 == 5) * 4_000_000_000,
            "price": 100.0 + (number * 7 % 13) / 8,
            "size": 0.5 + number % 3,
            "side": 1 if number % 3 else -1,
            "trade_id": number - (number % 23 == 7) * 2,
        }
        values.append(b"not json" if number % 50 == 49 else json.dumps(tick).encode())
    offsets = list(range(first, first + count))
    stamps = [START_NS // 10**6 + 2_000 * number for number in range(count)]
    return RawBatch(0, values, offsets, stamps, first + count)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path)
    ref = publish_tiny(store, 0.3, weight=0.7, features=("realized_vol_60",), name="champion")
    store.move("volatility_spike", champion=ref, by="test")
    other = publish_tiny(store, 0.2, weight=0.1, features=("spread_bps",), name="challenger")
    store.set_challengers("volatility_spike", [other], by="test")
    return store


def serve(store: ModelStore, raw: RawBatch) -> Served:
    """Run the pipeline's own steps, in batches of 64."""
    metrics = PipelineMetrics()
    decode = DecodeStep(topics.TICKS_RAW, frozenset(), metrics)
    features = FeatureStep(metrics)
    score = ScoreStep(Scorer(store, ("volatility_spike",)), metrics)
    encode = EncodeStep(topics.TICKS_RAW, metrics, publish_features=True)
    served: Served = {name: [] for name in (*CHECKED, topics.DEAD_LETTERS)}
    for at in range(0, len(raw.values), 64):
        part = RawBatch(
            0,
            raw.values[at : at + 64],
            raw.offsets[at : at + 64],
            raw.timestamps_ms[at : at + 64],
            min(raw.offsets[0] + at + 64, raw.next_offset),
        )
        _key, output = encode(score(features(decode(part))))
        for records in output.completed().records:
            served[records.topic].extend(records.values)
    return served


CHECKED = (topics.PREDICTIONS, topics.TICKS_FEATURES)


def compare(store: ModelStore, raw: RawBatch, served: Served) -> Account:
    """Compare all at once, and hold the comparison block by block against that."""
    whole = compare_whole(store, raw, served)
    for block_ticks, part in ((1, 16), (50, 7), (1_000, 400)):
        account = compare_blocks(store, raw, served, block_ticks, part)
        assert told(account) == told(whole), (block_ticks, part)
    return whole


def told(account: Account) -> tuple[object, ...]:
    line = json.loads(line_of(account, 0.0))
    found = sorted((one.topic, one.kind, one.partition, one.offset) for one in account.examples)
    return line, found


def compare_blocks(
    store: ModelStore, raw: RawBatch, served: Served, block_ticks: int, part: int
) -> Account:
    account = Account({topic: TopicTally() for topic in served})
    audit = BlockAudit(
        Recomputation(0, topics.TICKS_RAW, frozenset()),
        {topic: iter(values) for topic, values in served.items()},
        lambda ref: prove(store, ref),
        account,
        block_ticks=block_ticks,
    )
    for at in range(0, len(raw.values), part):
        cut = slice(at, at + part)
        audit.add(
            RawBatch(0, raw.values[cut], raw.offsets[cut], raw.timestamps_ms[cut], raw.next_offset)
        )
    assert audit.finish()
    return account


def compare_whole(store: ModelStore, raw: RawBatch, served: Served) -> Account:
    runs = recompute([raw], topics.TICKS_RAW, frozenset())
    bounds = {0: (raw.offsets[0], raw.next_offset)}
    expected = {0: runs[0].result(*bounds[0])}
    comparison = Comparison(expected, bounds, lambda ref: prove(store, ref))
    for value in served[topics.DEAD_LETTERS]:
        comparison.dead_letter(value)
    for value in served[topics.PREDICTIONS]:
        comparison.prediction(value)
    for value in served[topics.TICKS_FEATURES]:
        comparison.feature_row(value)
    return comparison.finish()


def test_a_healthy_run_has_nothing_to_find(store: ModelStore) -> None:
    raw = raw_log()
    served = serve(store, raw)
    account = compare(store, raw, served)
    assert account.examples == []
    assert account.clean
    line = json.loads(line_of(account, 0.0))
    assert line["clean"] is True
    scored = len(served[topics.PREDICTIONS])
    assert COUNT * 0.8 < scored < COUNT  # duplicates and dead letters have no prediction
    for topic in CHECKED:
        assert line[topic] == {
            "expected": scored,
            "served": scored,
            "missing": 0,
            "extra": 0,
            "different": 0,
        }
    assert line[topics.DEAD_LETTERS]["expected"] == COUNT // 50
    assert len(line["models"]) == 2
    assert all(model["scores"] == scored for model in line["models"].values())
    assert max(model["worst"] for model in line["models"].values()) <= 1e-6


FOREIGN = {
    "tombstone": None,
    "no JSON": b"hello",
    "no UTF-8": b'{"symbol":"\xff"}',
    "endless nesting": b"[" * 100_000,
    "beyond 64 bits": b'{"offset":99999999999999999999999}',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_messages_are_counted_and_stop_nothing(store: ModelStore, kind: str) -> None:
    raw = raw_log()
    served = serve(store, raw)
    for values in served.values():
        values.insert(1, FOREIGN[kind])
    account = compare(store, raw, served)
    assert account.clean
    line = json.loads(line_of(account, 0.0))
    assert line["unreadable"] == dict.fromkeys(served, 1)


def edited(value: bytes, change: Callable[[dict], None]) -> bytes:
    message = json.loads(value)
    change(message)
    return msgspec.json.encode(message)


def score_of(message: dict) -> dict:
    return message["scores"]["volatility_spike"]


def nudge_score(message: dict) -> None:
    score_of(message)["score"] += 3e-6


def nudge_shadow(message: dict) -> None:
    shadow = score_of(message)["shadow"]
    shadow.update({ref: score - 1e-5 for ref, score in shadow.items()})


def flip_decision(message: dict) -> None:
    score_of(message)["decision"] = not score_of(message)["decision"]


def nudge_feature(message: dict) -> None:
    at = INDEX["history_s"]
    message["values"][at] = float(np.nextafter(np.float32(message["values"][at]), np.float32(9e9)))


def define_feature(message: dict) -> None:
    message["values"][message["values"].index(None)] = 0.0


@pytest.mark.parametrize(
    ("topic", "change", "says"),
    [
        (topics.PREDICTIONS, nudge_score, "champion@"),
        (topics.PREDICTIONS, nudge_shadow, "challenger@"),
        (topics.PREDICTIONS, flip_decision, "decision"),
        (topics.PREDICTIONS, lambda m: m.update(mid=m["mid"] + 1e-9), "mid is"),
        (topics.PREDICTIONS, lambda m: m.update(late=not m["late"]), "late is"),
        (topics.PREDICTIONS, lambda m: m.update(symbol="XRP-USD"), "symbol is 'XRP-USD'"),
        (topics.TICKS_FEATURES, nudge_feature, "history_s is"),
        (topics.TICKS_FEATURES, define_feature, "recomputed null"),
        (topics.TICKS_FEATURES, lambda m: m["values"].pop(), "number of values"),
        (topics.DEAD_LETTERS, lambda m: m.update(reason="wrong_type"), "reason wrong_type"),
    ],
)
def test_a_changed_value_is_found(
    store: ModelStore, topic: str, change: Callable[[dict], None], says: str
) -> None:
    raw = raw_log()
    served = serve(store, raw)
    at = len(served[topic]) // 2
    offset = json.loads(served[topic][at])["offset"]
    served[topic][at] = edited(served[topic][at], change)
    account = compare(store, raw, served)
    assert not account.clean
    assert {name for name, tally in account.tallies.items() if not tally.clean} == {topic}
    [example] = account.examples
    assert (example.topic, example.kind, example.offset) == (topic, "different", offset)
    assert says in example.detail


@pytest.mark.parametrize("topic", [*CHECKED, topics.DEAD_LETTERS])
def test_a_missing_message_is_found(store: ModelStore, topic: str) -> None:
    raw = raw_log()
    served = serve(store, raw)
    offset = json.loads(served[topic].pop(3))["offset"]
    [example] = compare(store, raw, served).examples
    assert (example.topic, example.kind, example.offset) == (topic, "missing", offset)


@pytest.mark.parametrize("topic", [*CHECKED, topics.DEAD_LETTERS])
def test_a_message_served_twice_is_extra(store: ModelStore, topic: str) -> None:
    raw = raw_log()
    served = serve(store, raw)
    served[topic].append(served[topic][3])
    [example] = compare(store, raw, served).examples
    assert (example.topic, example.kind) == (topic, "extra")
    assert example.offset == json.loads(served[topic][3])["offset"]


def test_a_prediction_for_a_broken_tick_is_extra(store: ModelStore) -> None:
    raw = raw_log()
    served = serve(store, raw)
    broken = json.loads(served[topics.DEAD_LETTERS][0])["offset"]
    served[topics.PREDICTIONS].append(
        edited(served[topics.PREDICTIONS][0], lambda m: m.update(offset=broken))
    )
    [example] = compare(store, raw, served).examples
    assert (example.kind, example.offset) == ("extra", broken)


def test_messages_outside_the_range_are_passed_over(store: ModelStore) -> None:
    raw = raw_log()
    served = serve(store, raw)
    head = until_offset(raw, 150)
    account = compare(store, head, served)
    assert account.clean
    assert account.tallies[topics.PREDICTIONS].served < 150


def test_scores_of_a_model_that_is_gone_are_said_to_be_unverified(
    store: ModelStore, tmp_path: Path
) -> None:
    raw = raw_log()
    served = serve(store, raw)
    account = compare(ModelStore(tmp_path / "another"), raw, served)
    assert not account.clean
    assert sorted(ref.partition("@")[0] for ref in account.unverified) == ["challenger", "champion"]
    assert account.examples == []


def test_where_the_log_was_trimmed_early_values_are_uncertain_and_not_called_different(
    store: ModelStore,
) -> None:
    raw = raw_log()
    served = serve(store, raw)
    tail = RawBatch(0, raw.values[200:], raw.offsets[200:], raw.timestamps_ms[200:], COUNT)
    account = compare(store, tail, served)
    assert account.tallies[topics.PREDICTIONS].different == 0
    assert account.uncertain > 100
    assert not account.clean  # of which nothing was proved


def test_only_what_was_asked_for_is_compared(store: ModelStore) -> None:
    raw = raw_log()
    served = serve(store, raw)
    account = Account({topic: TopicTally() for topic in served})
    asked = set(raw.timestamps_ms[100:200])
    audit = BlockAudit(
        Recomputation(0, topics.TICKS_RAW, frozenset()),
        {topic: iter(values) for topic, values in served.items()},
        lambda ref: prove(store, ref),
        account,
        asked.__contains__,
        block_ticks=30,
    )
    for at in range(0, COUNT, 10):
        cut = slice(at, at + 10)
        audit.add(RawBatch(0, raw.values[cut], raw.offsets[cut], raw.timestamps_ms[cut], at + 10))
    assert audit.finish()
    assert account.clean
    wanted = [json.loads(value)["offset"] for value in served[topics.PREDICTIONS]]
    tally = account.tallies[topics.PREDICTIONS]
    assert tally.served == tally.expected == sum(100 <= offset < 200 for offset in wanted)


def test_an_output_beside_its_partition_is_extra(store: ModelStore) -> None:
    raw = raw_log()
    served = serve(store, raw)
    served[topics.PREDICTIONS].append(
        edited(served[topics.PREDICTIONS][0], lambda m: m.update(partition=1))
    )
    [example] = compare_blocks(store, raw, served, 50, 10).examples
    assert (example.kind, example.partition) == ("extra", 1)
    assert "lies in partition 0" in example.detail


def test_no_block_holds_more_than_its_ticks(store: ModelStore) -> None:
    held: list[int] = []

    class Watched(Recomputation):
        def take(self, first: int = 0, end: int | None = None) -> Expected:
            found = super().take(first, end)
            held.append(len(found))
            return found

    raw = raw_log()
    account = Account({topics.PREDICTIONS: TopicTally(), topics.DEAD_LETTERS: TopicTally()})
    audit = BlockAudit(
        Watched(0, topics.TICKS_RAW, frozenset()),
        {topics.PREDICTIONS: iter(()), topics.DEAD_LETTERS: iter(())},
        lambda ref: prove(store, ref),
        account,
        block_ticks=40,
    )
    for at in range(0, COUNT, 10):
        cut = slice(at, at + 10)
        audit.add(RawBatch(0, raw.values[cut], raw.offsets[cut], raw.timestamps_ms[cut], at + 10))
    assert audit.finish()
    assert len(held) == 10
    assert max(held) <= 40
    assert account.tallies[topics.PREDICTIONS].missing == sum(held)
