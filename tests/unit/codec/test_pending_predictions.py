"""Predictions as columns, and back out of the waiting room in any order."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec.pending_predictions import (
    MAX_SCORES,
    ModelSetTable,
    PendingPredictions,
    decode_predictions,
)
from flows.codec.symbols import SymbolTable
from schemas.predictions import TargetScore
from tests.support.api import prediction


def own(score: float, model: str = "a", **shadow: float) -> TargetScore:
    return TargetScore(score=score, model=model, version="1", variant="x", shadow=shadow)


def decoded(made, first_offset=0):
    values = [msgspec.json.encode(each) for each in made]
    offsets = list(range(first_offset, first_offset + len(made)))
    return decode_predictions(values, offsets, SymbolTable(), ModelSetTable())


def test_columns_hold_what_the_messages_say():
    symbols, models = SymbolTable(), ModelSetTable()
    made = [
        prediction("A", offset=7, late=True, scores={"spike": own(0.1, z=0.2), "move": own(-1.0)}),
        prediction("B", offset=9, gap=True, restart=True, scores={"spike": own(0.3, "b")}),
    ]
    values = [msgspec.json.encode(each) for each in made]
    batch, broken = decode_predictions(values, [100, 102], symbols, models)
    assert broken == []
    assert batch.offset.tolist() == [100, 102]
    assert batch.origin_offset.tolist() == [7, 9]
    assert batch.late.tolist() == [True, False]
    assert batch.gap.tolist() == [False, True]
    assert batch.restart.tolist() == [False, True]
    assert batch.mid.tolist() == [100.25, 100.25]
    np.testing.assert_array_equal(batch.scores, [[0.1, 0.2, -1.0], [0.3, np.nan, np.nan]])
    first, second = (models.known[number] for number in batch.model_set)
    assert [(each.target, each.ref, each.shadow) for each in first] == [
        ("spike", "a@1", ("z",)),
        ("move", "a@1", ()),
    ]
    assert second[0].ref == "b@1"


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b'{"symbol": 1}'])
def test_what_is_no_prediction_is_named_and_the_rest_is_kept(value):
    good = msgspec.json.encode(prediction(offset=3))
    batch, broken = decode_predictions(
        [good, value, good], [5, 6, 7], SymbolTable(), ModelSetTable()
    )
    assert batch.offset.tolist() == [5, 7]
    assert [offset for offset, _why in broken] == [6]


def test_nothing_decodes_to_nothing():
    batch, broken = decode_predictions([], [], SymbolTable(), ModelSetTable())
    assert len(batch) == 0
    assert broken == []


def test_one_message_does_not_widen_the_rows_of_all_others():
    wide = {f"c{number}@1": 0.5 for number in range(MAX_SCORES)}
    made = [prediction(offset=0), prediction(offset=1, scores={"spike": own(0.5, **wide)})]
    batch, broken = decoded(made)
    assert batch.scores.shape == (1, 1)
    assert broken == [(1, f"it has {MAX_SCORES + 1} scores, more than {MAX_SCORES}")]


def test_names_of_models_without_end_hold_no_memory():
    symbols, models = SymbolTable(), ModelSetTable()
    pending = PendingPredictions()
    waits = msgspec.json.encode(prediction(scores={"spike": own(0.1, "waits")}))
    batch, _broken = decode_predictions([waits], [0], symbols, models)
    pending.add(batch)
    for number in range(1, 6_000):
        if models.crowded:
            models.keep(pending.model_sets())
        value = msgspec.json.encode(prediction(scores={"spike": own(0.1, f"m{number}")}))
        batch, _broken = decode_predictions([value], [number], symbols, models)
        assert models.known[batch.model_set[0]][0].model == f"m{number}"
        pending.add(batch)
        pending.take(np.array([number], np.int64))
    assert len(models.known) < 1_100
    [(batch, rows, _places)] = pending.take(np.array([0], np.int64))
    assert models.known[batch.model_set[rows][0]][0].model == "waits"


@given(st.lists(st.integers(0, 40), max_size=8), st.randoms(use_true_random=False))
def test_everything_is_taken_once_in_any_order(sizes, random):
    pending = PendingPredictions()
    total = 0
    for size in sizes:
        batch, _broken = decoded([prediction(offset=total + at) for at in range(size)], total)
        assert pending.add(batch) == total
        total += size
    numbers = list(range(total))
    random.shuffle(numbers)
    found: list[int] = []
    while numbers:
        count = random.randint(1, len(numbers))
        wanted, numbers = numbers[:count], numbers[count:]
        answer = [-1] * count
        for batch, rows, places in pending.take(np.array(wanted, np.int64)):
            for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                answer[place] = int(batch.origin_offset[row])
        assert answer == wanted
        found += answer
        assert len(pending) == len(numbers)
    assert sorted(found) == list(range(total))


def test_one_that_waits_for_long_keeps_its_own_batch_and_no_later_one():
    pending = PendingPredictions()
    silent, _broken = decoded([prediction(offset=0), prediction(offset=1)])
    pending.add(silent)
    pending.take(np.array([1], np.int64))
    for number in range(2, 500):
        batch, _broken = decoded([prediction(offset=number)], number)
        pending.add(batch)
        pending.take(np.array([number], np.int64))
    assert len(pending) == 1
    assert len(pending._chunks) == len(pending._firsts) == 1
    [(batch, rows, _places)] = pending.take(np.array([0], np.int64))
    assert batch.origin_offset[rows].tolist() == [0]


def test_one_that_waits_for_long_keeps_little_of_its_batch():
    pending = PendingPredictions()
    batch, _broken = decoded([prediction(offset=at) for at in range(400)])
    pending.add(batch)
    pending.take(np.array([at for at in range(400) if at not in {7, 300}], np.int64))
    assert len(pending) == pending.kept_rows == 2
    found = pending.take(np.array([300, 7], np.int64))
    assert [
        (each.origin_offset[rows].tolist(), places.tolist()) for each, rows, places in found
    ] == [([7, 300], [1, 0])]
