"""Hostile messages through the flow's own steps, in process."""

import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.encode import encode_dead_letters
from flows.numeric.time import NS_PER_S
from schemas.dead_letters import DeadLetter, Reason
from schemas.predictions import FeatureRow, Prediction
from tests.fuzz.account import account_of, run_account
from tests.fuzz.chain import Chain, as_log, baseline_scorer, batches
from tests.fuzz.messages import START_NS, hostile_messages
from tests.proof.checker import Outputs
from tests.proof.hostile import prove
from tests.proof.scores import Store
from tests.support.kafka.tools import Outgoing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def scorer(folder):
    return baseline_scorer(folder)


@pytest.fixture(scope="module")
def store(scorer, folder):
    return Store(folder)


def outgoing(number: int = 0, **fields: object) -> Outgoing:
    at_ns = START_NS + number * NS_PER_S
    plain = {"symbol": "A-B", "venue": "v", "ts_event_ns": at_ns, "price": 1.0, **fields}
    return Outgoing(0, b"A-B", msgspec.json.encode(plain), at_ns // 10**6 + 1)


@pytest.mark.timeout(300)
def test_mutated_messages_are_each_accounted_for():
    account = prove(20_000, seed=20_260)
    assert [str(defect) for defect in account.defects[:5]] == []
    assert account.inputs == 20_000
    assert min(account.predictions, account.dead_letters, account.duplicates) > 100
    elsewhere = {Reason.BROKEN_FRAME, Reason.UNSCORABLE, Reason.UNKNOWN_SYMBOL}
    assert {Reason(reason) for reason in account.reasons} == set(Reason) - elsewhere


def test_the_account_notices_what_is_missing_twice_or_else(scorer, store):
    messages = list(hostile_messages(3, 400))
    log = as_log(messages)
    chain = Chain(scorer)
    assert run_account(chain, messages, 3, store).defects == []
    whole = chain.outputs
    for corrupted in (
        Outputs(whole.predictions[1:], whole.features, whole.dead_letters),
        Outputs([*whole.predictions, whole.predictions[0]], whole.features, whole.dead_letters),
        Outputs(whole.predictions, whole.features[:-1], whole.dead_letters),
        Outputs(whole.predictions, whole.features, whole.dead_letters[1:]),
    ):
        assert account_of(log, corrupted, store).defects


_numbers = st.one_of(
    st.floats(),
    st.floats(allow_nan=False, min_value=5e-324),
    st.integers(-(2**70), 2**70),
    st.sampled_from([5e-324, 1e-300, 1e300, 1.7976931348623157e308]),
)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_near = st.integers(-90, 90).map(lambda second: START_NS + second * NS_PER_S)
_objects = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(["A-B", "C-D"]) | _values,
        "venue": st.sampled_from(["v", "w"]) | _values,
        "ts_event_ns": _near | st.integers(START_NS - 10**13, START_NS + 10**13),
        "ts_recv_ns": _near | _values,
        "price": _numbers | _values,
        "size": _numbers | _values,
        "side": st.sampled_from([-1, 0, 1]) | _values,
        "bid": _numbers | _values,
        "ask": _numbers | _values,
        "bid_size": _numbers,
        "ask_size": _numbers,
        "trade_id": st.integers(0, 2**63 - 1) | _values,
        "gap": st.booleans() | _values,
        "note": _values,
    },
).map(lambda found: written(found))


def written(found: object) -> bytes:
    """JSON as Python writes it: with NaN and Infinity, with integers of any length."""
    return json.dumps(found).encode("utf-8", "surrogatepass")


@settings(max_examples=60, deadline=None)
@given(st.lists(_objects | st.binary(max_size=40), min_size=1, max_size=30), st.integers(0, 99))
def test_any_messages_are_accounted_for(scorer, store, values, seed):
    stamp = START_NS // 10**6
    messages = [Outgoing(at % 2, None, value, stamp) for at, value in enumerate(values)]
    account = run_account(Chain(scorer), messages, seed, store)
    assert [str(defect) for defect in account.defects] == []
    assert account.inputs == len(values)


_EXTREMES = (5e-324, 1e-300, 1e-160, 1e160, 1e300, 1.7976931348623157e308)


@pytest.mark.parametrize("first", _EXTREMES)
def test_extreme_prices_and_sizes_give_finite_outputs(scorer, store, first):
    ticks = []
    for number, price in enumerate((first, *_EXTREMES, first, 1.0, *[first, 1.0] * 40)):
        for size in (None, 0.0, *_EXTREMES):
            fields = {"price": price, "bid": price, "ask": price, "size": size, "side": 1}
            if size is not None:
                fields |= {"bid_size": size, "ask_size": 1.7976931348623157e308}
            ticks.append(outgoing(number, **fields))
    chain = Chain(scorer)
    assert run_account(chain, ticks, 1, store).defects == []
    for message in chain.outputs.predictions:
        made = msgspec.json.decode(message.value, type=Prediction)
        assert all(math.isfinite(each.score) for each in made.scores.values())
        assert 0 < made.mid < math.inf
    for message in chain.outputs.features:
        row = msgspec.json.decode(message.value, type=FeatureRow)
        assert all(value is None or math.isfinite(value) for value in row.values)


def test_after_extreme_prices_a_symbol_comes_back_to_itself(scorer):
    """What was beyond all numbers leaves the windows with its tick."""
    calm = [outgoing(n, price=100.0 + n % 3, size=1.0, trade_id=n) for n in range(4000, 8200)]
    wild = [
        outgoing(n, price=_EXTREMES[n % 6], size=_EXTREMES[-n % 6], trade_id=n) for n in range(9)
    ]
    with_wild, without = Chain(scorer), Chain(scorer)
    for batch in batches(as_log([*wild, *calm]), 1):
        with_wild.run(batch)
    for batch in batches(as_log(calm), 1):
        without.run(batch)
    last, wanted = (
        msgspec.json.decode(chain.outputs.features[-1].value, type=FeatureRow)
        for chain in (with_wild, without)
    )
    assert last.values == wanted.values


@pytest.mark.parametrize("size", [0, 1, 9_000, 750_000, 774_150, 800_000, 5_000_000])
def test_a_dead_letter_fits_its_topic(size):
    limit = 1_048_588
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    letter = DeadLetter(reason=Reason.TOO_LARGE, detail="d", payload=payload, offset=1)
    [made] = encode_dead_letters([letter], limit)
    assert len(made) < limit
    found = msgspec.json.decode(made, type=DeadLetter)
    assert payload.startswith(found.payload)
    if found.payload != payload:
        assert size > 700_000
        assert found.detail == f"d (first {len(found.payload)} of {size} bytes)"
    assert encode_dead_letters([letter]) == [msgspec.json.encode(letter)]
