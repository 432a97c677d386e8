"""Messages evolve by new fields with defaults only: the oldest message on a topic still decodes."""

import msgspec
import pytest

from schemas.__main__ import MESSAGES

# The fields of each message's first version that had no default. This table never grows: a new
# field has a default, so that a consumer reads what a producer of any age wrote.
FIRST_VERSION = {
    "tick": {"symbol", "venue", "ts_event_ns", "price"},
    "candle": {
        "symbol",
        "venue",
        "ts_open_ns",
        "interval_s",
        "open",
        "high",
        "low",
        "close",
        "tick_count",
    },
    "feature_row": {
        "symbol",
        "venue",
        "ts_event_ns",
        "feature_set",
        "warm",
        "values",
        "partition",
        "offset",
    },
    "prediction": {
        "symbol",
        "venue",
        "ts_event_ns",
        "trade_id",
        "price",
        "mid",
        "warm",
        "late",
        "gap",
        "scores",
        "feature_set",
        "ts_scored_ns",
        "partition",
        "offset",
    },
    "outcome": {
        "symbol",
        "venue",
        "ts_event_ns",
        "ts_known_ns",
        "scores",
        "feature_set",
        "partition",
        "offset",
        "known_offset",
    },
    "quality_point": {"target", "kind", "ts_ns", "from_ns", "models"},
    "dead_letter": {"reason", "detail", "payload"},
    "backfill": {"symbol", "venue", "interval_s", "bars"},
    "model_manifest": {
        "name",
        "version",
        "variant",
        "target",
        "sha256",
        "feature_set",
        "features",
        "provenance",
        "created_ns",
        "opset",
    },
    "aliases": {"target"},
    "training_result": {"target", "version", "published", "champion"},
}

SCORE = {"score": 0.25, "model": "zscore", "version": "v", "variant": "zscore"}
TARGET = {"name": "volatility_spike", "kind": "classification", "definition": "relative"}
WHERE = {"partition": 0, "offset": 7}
ORIGIN = {"symbol": "BTC-USD", "venue": "binance", "ts_event_ns": 1}

OLD_MESSAGES = {
    "tick": {**ORIGIN, "price": 100.5},
    "candle": {
        "symbol": "BTC-USD",
        "venue": "binance",
        "ts_open_ns": 0,
        "interval_s": 60,
        "open": 1.0,
        "high": 2.0,
        "low": 0.5,
        "close": 1.5,
        "tick_count": 3,
    },
    "feature_row": {**ORIGIN, **WHERE, "feature_set": 1, "warm": True, "values": [None, 1.0]},
    "prediction": {
        **ORIGIN,
        **WHERE,
        "trade_id": None,
        "price": 1.0,
        "mid": 1.0,
        "warm": False,
        "late": False,
        "gap": False,
        "scores": {"volatility_spike": SCORE},
        "feature_set": 1,
        "ts_scored_ns": 2,
    },
    "outcome": {
        **ORIGIN,
        **WHERE,
        "ts_known_ns": 2,
        "scores": {"volatility_spike": {**SCORE, "truth": 1.0, "value": 2.0}},
        "feature_set": 1,
        "known_offset": 8,
    },
    "quality_point": {
        "target": "volatility_spike",
        "kind": "classification",
        "ts_ns": 2,
        "from_ns": 1,
        "models": [{"model": "zscore@v", "role": "champion", "count": 3}],
    },
    "dead_letter": {"reason": "not_json", "detail": "no JSON", "payload": "e30="},
    "backfill": {
        "symbol": "BTC-USD",
        "venue": "binance",
        "interval_s": 60,
        "bars": [{"ts_open_ns": 0, "open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0}],
    },
    "model_manifest": {
        "name": "zscore",
        "version": "v",
        "variant": "zscore",
        "target": TARGET,
        "sha256": "00",
        "feature_set": 1,
        "features": ["spread"],
        "provenance": "builtin",
        "created_ns": 0,
        "opset": 17,
    },
    "aliases": {"target": "volatility_spike"},
    "training_result": {
        "target": "volatility_spike",
        "version": "zscore@v",
        "published": True,
        "champion": False,
    },
}

every_message = pytest.mark.parametrize("name", sorted(MESSAGES))


def test_every_message_is_under_the_rule():
    assert set(MESSAGES) == set(FIRST_VERSION) == set(OLD_MESSAGES)


@every_message
def test_new_fields_have_defaults(name):
    required = {
        field.encode_name for field in msgspec.structs.fields(MESSAGES[name]) if field.required
    }
    assert required == FIRST_VERSION[name]


@every_message
def test_old_message_decodes_and_comes_back_the_same(name):
    kind = MESSAGES[name]
    message = msgspec.json.decode(msgspec.json.encode(OLD_MESSAGES[name]), type=kind)
    assert msgspec.json.decode(msgspec.json.encode(message), type=kind) == message


@every_message
def test_unknown_field_is_ignored(name):
    kind = MESSAGES[name]
    newer = {**OLD_MESSAGES[name], "invented_later": {"deep": [1, 2]}}
    assert msgspec.json.decode(msgspec.json.encode(newer), type=kind) == msgspec.json.decode(
        msgspec.json.encode(OLD_MESSAGES[name]), type=kind
    )


@every_message
def test_missing_required_field_is_refused(name):
    for field in FIRST_VERSION[name]:
        part = {key: value for key, value in OLD_MESSAGES[name].items() if key != field}
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.json.decode(msgspec.json.encode(part), type=MESSAGES[name])


def test_what_a_venue_does_not_say_stays_null():
    tick = msgspec.json.decode(msgspec.json.encode(OLD_MESSAGES["tick"]), type=MESSAGES["tick"])
    for field in ("size", "bid", "ask", "bid_size", "ask_size", "trade_id", "ts_recv_ns"):
        assert getattr(tick, field) is None


def test_tampered_type_is_refused():
    with pytest.raises(msgspec.ValidationError, match="price"):
        msgspec.convert({**OLD_MESSAGES["tick"], "price": "100.5"}, MESSAGES["tick"])
