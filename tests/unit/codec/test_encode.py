"""The fast encoder writes what msgspec makes of the plain structures."""

import json
from collections.abc import Set

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flows.codec.batch import GAP, LATE, NO_TRADE_ID, RESTART, WARM, TickBatch
from flows.codec.encode import (
    SymbolText,
    encode_dead_letters,
    feature_rows,
    predictions,
    scorable,
    unscorable_dead_letters,
)
from flows.codec.rows import FeatureRows, TargetScores
from flows.codec.symbols import SymbolTable
from schemas.dead_letters import DeadLetter, Reason
from schemas.features import FEATURE_SET, FEATURES
from schemas.models import ModelManifest, TargetSpec
from schemas.predictions import FeatureRow, Prediction, TargetScore
from schemas.ticks import Tick

SCORED_NS = 1_700_000_000_123_456_789
PARTITION = 5
NAMES = ["BTC-USD", 'we"ird\\\u00e9\u2028', "ETH-USD"]


def manifest(name: str = "zs", kind: str = "classification") -> ModelManifest:
    definition = "relative" if kind == "classification" else "return"
    return ModelManifest(
        name=name,
        version="000001",
        variant="zscore",
        target=TargetSpec(name="t", kind=kind, definition=definition),
        sha256="0",
        feature_set=FEATURE_SET,
        features=[],
        provenance="builtin",
        created_ns=0,
        opset=17,
    )


def make(
    n: int,
    *,
    prices: np.ndarray | None = None,
    flags: np.ndarray | None = None,
    ids: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> tuple[TickBatch, FeatureRows, SymbolText]:
    symbols = SymbolTable()
    for name in NAMES:
        symbols.intern("venue", name)
    numbers = np.arange(n) % len(NAMES)
    prices = np.linspace(0.1, 7.7, n) if prices is None else prices
    ids = np.arange(n) + 2**53 if ids is None else ids
    flags = np.zeros(n, np.uint8) if flags is None else flags
    ticks = [
        Tick(
            symbol=NAMES[numbers[at]],
            venue="venue",
            ts_event_ns=SCORED_NS - at,
            price=float(prices[at]),
            trade_id=None if ids[at] == NO_TRADE_ID else int(ids[at]),
        )
        for at in range(n)
    ]
    nans = np.full(n, np.nan)
    batch = TickBatch(
        partition=PARTITION,
        offset=np.arange(n, dtype=np.int64) * 2 + 100,
        symbol_id=numbers.astype(np.int32),
        ts_event_ns=np.array([tick.ts_event_ns for tick in ticks], np.int64),
        price=prices.astype(np.float64),
        size=nans,
        side=np.zeros(n, np.int8),
        bid=nans,
        ask=nans,
        bid_size=nans,
        ask_size=nans,
        trade_id=ids.astype(np.int64),
        gap=(flags & GAP).astype(bool),
        ticks=ticks,
    )
    matrix = np.zeros((n, len(FEATURES))) if values is None else values
    features = FeatureRows(matrix, flags, prices / 3, batch.ts_event_ns, 0)
    text = SymbolText(symbols)
    text.refresh()
    return batch, features, text


def target(name: str, scores: np.ndarray, threshold: float | None = 0.5, **shadow) -> TargetScores:
    kind = "regression" if threshold is None else "classification"
    return TargetScores(name, kind, manifest(f"m-{name}", kind), scores, threshold, shadow)


def plain(batch, features, rows, scores) -> list[Prediction]:
    """One structure per row."""
    found = []
    for at, row in enumerate(rows.tolist()):
        tick, flags = batch.ticks[row], int(features.flags[row])
        found.append(
            Prediction(
                symbol=tick.symbol,
                venue=tick.venue,
                ts_event_ns=tick.ts_event_ns,
                trade_id=tick.trade_id,
                price=tick.price,
                mid=float(features.mid[row]),
                warm=flags & WARM > 0,
                late=flags & LATE > 0,
                gap=flags & GAP > 0,
                restart=flags & RESTART > 0,
                scores={
                    each.target: TargetScore(
                        score=float(each.scores[at]),
                        model=each.manifest.name,
                        version=each.manifest.version,
                        variant=each.manifest.variant,
                        decision=None
                        if each.threshold is None
                        else bool(each.scores[at] >= each.threshold),
                        shadow={ref: float(v[at]) for ref, v in each.shadow.items()},
                    )
                    for each in scores
                },
                feature_set=FEATURE_SET,
                ts_scored_ns=SCORED_NS,
                partition=PARTITION,
                offset=int(batch.offset[row]),
            )
        )
    return found


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data(), st.integers(0, 20))
def test_predictions_are_the_plain_structures(data: st.DataObject, n: int):
    prices = data.draw(arrays.arrays(np.float64, n, elements=finite))
    flags = data.draw(arrays.arrays(np.uint8, n, elements=st.integers(0, 31)))
    ids = data.draw(
        arrays.arrays(np.int64, n, elements=st.sampled_from([NO_TRADE_ID, 0, 2**63 - 1]))
    )
    batch, features, text = make(n, prices=prices, flags=flags, ids=ids)
    keep = data.draw(arrays.arrays(np.bool_, n))
    rows = np.flatnonzero(keep)
    draw = lambda: data.draw(arrays.arrays(np.float64, len(rows), elements=finite))  # noqa: E731
    scores = [
        target("spike", draw(), 0.5),
        target("move", draw(), None, **{"other@1": draw(), "third@2": draw()}),
    ][: data.draw(st.integers(0, 2))]
    assert scorable(features, rows, scores) == (rows, scores, [])
    values = predictions(batch, features, rows, scores, SCORED_NS, text)
    found = [msgspec.json.decode(value, type=Prediction) for value in values]
    assert found == plain(batch, features, rows, scores)
    for value in values:
        assert_shaped_like(json.loads(value), Prediction)


def assert_shaped_like(
    found: dict, kind: type[msgspec.Struct], unused: Set[str] = frozenset()
) -> None:
    """No field is missing, none is foreign, and they come in the contract's order."""
    names = [each.name for each in msgspec.structs.fields(kind)]
    assert list(found) == [name for name in names if name not in unused]
    for score in found.get("scores", {}).values():
        assert_shaped_like(score, TargetScore)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_finite_score_is_told_apart_and_never_written(bad: float):
    batch, features, text = make(4)
    scores = [target("spike", np.array([0.1, bad, 0.3, 0.4]), 0.25), target("move", np.ones(4))]
    rows, usable, unscorable = scorable(features, np.arange(4), scores)
    assert unscorable == [(1, f"the score of spike by m-spike@000001 is {bad}")]
    assert rows.tolist() == [0, 2, 3]
    values = predictions(batch, features, rows, usable, SCORED_NS, text)
    found = [msgspec.json.decode(value, type=Prediction) for value in values]
    assert [each.offset for each in found] == [100, 104, 106]
    assert [each.scores["spike"].decision for each in found] == [False, True, True]
    payloads = [b"a", b"b", b"c", b"d"]
    [letter] = unscorable_dead_letters(batch, unscorable, batch.offset, payloads, "ticks.raw")
    assert (letter.reason, letter.offset, letter.payload) == (Reason.UNSCORABLE, 102, b"b")


def test_a_row_without_a_finite_mid_price_is_unscorable():
    _batch, features, _text = make(2, prices=np.array([1.0, np.inf]))
    scores = [target("spike", np.ones(2))]
    rows, [usable], unscorable = scorable(features, np.arange(2), scores)
    assert (rows.tolist(), usable.scores.tolist()) == ([0], [1.0])
    assert unscorable == [(1, "the mid price is inf")]


def test_a_challenger_without_a_finite_score_is_left_out_of_that_row_alone():
    batch, features, text = make(3)
    shadow = {"a@1": np.array([0.1, np.nan, 0.3]), "b@1": np.array([0.4, 0.5, 0.6])}
    scores = [target("spike", np.ones(3), 0.5, **shadow)]
    rows, usable, unscorable = scorable(features, np.arange(3), scores)
    assert unscorable == []
    values = predictions(batch, features, rows, usable, SCORED_NS, text)
    found = [msgspec.json.decode(value, type=Prediction) for value in values]
    assert [each.scores["spike"].shadow for each in found] == [
        {"a@1": 0.1, "b@1": 0.4},
        {"b@1": 0.5},
        {"a@1": 0.3, "b@1": 0.6},
    ]


@given(st.data(), st.integers(0, 12), st.booleans())
def test_feature_rows_come_back_bit_for_bit(data: st.DataObject, n: int, packed: bool):
    values = data.draw(
        arrays.arrays(np.float64, (n, len(FEATURES)), elements=st.floats(-1e300, 1e300))
    )
    values[data.draw(arrays.arrays(np.bool_, values.shape))] = np.nan
    flags = data.draw(arrays.arrays(np.uint8, n, elements=st.integers(0, 31)))
    batch, features, text = make(n, flags=flags, values=values)
    rows = np.flatnonzero(data.draw(arrays.arrays(np.bool_, n)))
    texts = feature_rows(batch, features, rows, text, packed=packed)
    found = [msgspec.json.decode(value, type=FeatureRow) for value in texts]
    for row, each in zip(rows.tolist(), found, strict=True):
        back = np.array([np.nan if v is None else v for v in each.values], np.float32)
        assert back.tobytes() == features.values[row].tobytes()
        unused = frozenset() if packed else {"values_f32"}
        assert_shaped_like(json.loads(texts[found.index(each)]), FeatureRow, unused)
        tick = batch.ticks[row]
        assert each == FeatureRow(
            symbol=tick.symbol,
            venue="venue",
            ts_event_ns=tick.ts_event_ns,
            feature_set=FEATURE_SET,
            warm=bool(flags[row] & WARM),
            values=each.values,
            partition=PARTITION,
            offset=int(batch.offset[row]),
        )


def test_new_symbols_are_learned_between_batches():
    _, _, text = make(1)
    text.symbols.intern("venue", "NEW")
    text.refresh()
    assert text.names[-1] == "NEW"
    assert text.keys[-1] == b"NEW"
    assert len(text.heads) == len(NAMES) + 1


def test_dead_letters_keep_their_bytes():
    letter = DeadLetter(reason=Reason.NOT_JSON, detail="d", payload=b"\xff\x00", offset=3)
    [value] = encode_dead_letters([letter])
    assert msgspec.json.decode(value, type=DeadLetter) == letter
