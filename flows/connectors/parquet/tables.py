"""Messages of each topic as Arrow tables: one column a field, nothing rounded, null where null.

Every table also has the place of the message in its own topic, ``log_partition`` (int32),
``log_offset`` (int64) and ``log_ts_ms`` (int64, -1 for none).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from schemas import topics
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle, Tick


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies: its offset, and its Kafka timestamp in milliseconds (-1 for none)."""

    offset: int
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Kind:
    """How a topic's messages become columns.

    Attributes
    ----------
    decode
        From the payload to the message.
    ts_ns
        The event time by which messages are put into days.
    columns
        Arrow type of each column, and how its value is read from a message.
    """

    decode: Callable[[bytes], Any]
    ts_ns: Callable[[Any], int]
    columns: Mapping[str, tuple[pa.DataType, Callable[[Any], Any]]]


_SHADOW = pa.list_(pa.struct([("model", pa.string()), ("score", pa.float64())]))
_SCORE = [
    ("target", pa.string()),
    ("score", pa.float64()),
    ("model", pa.string()),
    ("version", pa.string()),
    ("variant", pa.string()),
    ("shadow", _SHADOW),
]
_PREDICTED = pa.list_(pa.struct([*_SCORE, ("decision", pa.bool_())]))
_EVALUATED = pa.list_(pa.struct([*_SCORE, ("truth", pa.float64()), ("value", pa.float64())]))

_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("symbol", "venue"), pa.string()),
    **dict.fromkeys(
        ("ts_event_ns", "ts_recv_ns", "ts_scored_ns", "ts_known_ns", "ts_open_ns"), pa.int64()
    ),
    **dict.fromkeys(
        ("trade_id", "sequence", "offset", "known_offset", "closed_offset"), pa.int64()
    ),
    **dict.fromkeys(
        ("price", "size", "bid", "ask", "bid_size", "ask_size", "mid", "volume", "vwap"),
        pa.float64(),
    ),
    **dict.fromkeys(("open", "high", "low", "close"), pa.float64()),
    "side": pa.int8(),
    **dict.fromkeys(("gap", "warm", "late", "restart"), pa.bool_()),
    **dict.fromkeys(("feature_set", "partition", "interval_s"), pa.int32()),
    "tick_count": pa.int64(),
    "values": pa.list_(pa.float32()),
}


def _columns(
    message: type[msgspec.Struct], **special: tuple[pa.DataType, Callable[[Any], Any]]
) -> dict[str, tuple[pa.DataType, Callable[[Any], Any]]]:
    return {
        name: special.get(name) or (_TYPES[name], attrgetter(name))
        for name in message.__struct_fields__
    }


def _predicted(message: Prediction) -> list[dict[str, Any]]:
    return [_score(target, one, decision=one.decision) for target, one in message.scores.items()]


def _evaluated(message: Outcome) -> list[dict[str, Any]]:
    return [
        _score(target, one, truth=one.truth, value=one.value)
        for target, one in message.scores.items()
    ]


def _score(target: str, one: TargetScore | OutcomeScore, **more: object) -> dict[str, Any]:
    return {
        "target": target,
        "score": one.score,
        "model": one.model,
        "version": one.version,
        "variant": one.variant,
        "shadow": [{"model": model, "score": score} for model, score in one.shadow.items()],
        **more,
    }


def _kind(
    message: type[msgspec.Struct],
    time: str = "ts_event_ns",
    **special: tuple[pa.DataType, Callable[[Any], Any]],
) -> Kind:
    return Kind(
        msgspec.json.Decoder(message).decode, attrgetter(time), _columns(message, **special)
    )


KINDS: Mapping[str, Kind] = {
    topics.TICKS_RAW: _kind(Tick),
    topics.TICKS_FEATURES: _kind(FeatureRow),
    topics.PREDICTIONS: _kind(Prediction, scores=(_PREDICTED, _predicted)),
    topics.OUTCOMES: _kind(Outcome, scores=(_EVALUATED, _evaluated)),
    topics.CANDLES: _kind(Candle, "ts_open_ns"),
}
"""The topics that are archived."""


def table_of(
    kind: Kind, partition: int, places: Sequence[Place], messages: Sequence[Any]
) -> pa.Table:
    """Return messages as a table, in their order.

    Parameters
    ----------
    partition
        Of the topic that the messages come from.
    """
    columns = {
        name: pa.array(list(map(read, messages)), type_)
        for name, (type_, read) in kind.columns.items()
    }
    return pa.table({**columns, **_place_columns(partition, places)})


def unreadable_table(
    partition: int, places: Sequence[Place], payloads: Sequence[bytes]
) -> pa.Table:
    """Return what is no message of its topic: the raw bytes and their place."""
    return pa.table(
        {"payload": pa.array(payloads, pa.binary()), **_place_columns(partition, places)}
    )


def _place_columns(partition: int, places: Sequence[Place]) -> dict[str, pa.Array]:
    return {
        "log_partition": pa.array([partition] * len(places), pa.int32()),
        "log_offset": pa.array([place.offset for place in places], pa.int64()),
        "log_ts_ms": pa.array([place.ts_ms for place in places], pa.int64()),
    }
