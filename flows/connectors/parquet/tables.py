"""Messages of each topic as Arrow tables: one column a field, nothing rounded, null where null.

Every table also has the place of the message in its own topic, ``log_partition`` (int32),
``log_offset`` (int64) and ``log_ts_ms`` (int64, -1 for none).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import pyarrow as pa

from flows.codec.decode import MAX_BYTES
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle, Tick

Columns = Mapping[str, tuple[pa.DataType, Callable[[Any], Any]]]
"""Arrow type of each column, and how its value is read."""

Placed = tuple[int, int, Any]
"""Offset, Kafka timestamp (milliseconds, -1 for none) and message."""

PLACE = ("log_partition", "log_offset", "log_ts_ms")
"""The columns that say where a message lies in its topic."""

_CHUNK = 4_096


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
    most_bytes
        A longer payload is no message of the topic; None for any length.
    """

    decode: Callable[[bytes], Any]
    ts_ns: Callable[[Any], int]
    columns: Columns
    most_bytes: int | None = None

    def message(self, payload: bytes) -> Any:
        """Return the message of a payload; None for bytes that are none of the topic's."""
        if self.most_bytes is not None and len(payload) > self.most_bytes:
            return None
        return decode_or_none(self.decode, payload)


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

_SECOND_FORMS = frozenset({"values_f32"})
"""Fields that decoding has turned into another one."""


def _columns(
    message: type[msgspec.Struct], **special: tuple[pa.DataType, Callable[[Any], Any]]
) -> Columns:
    return {
        name: special.get(name) or (_TYPES[name], attrgetter(name))
        for name in message.__struct_fields__
        if name not in _SECOND_FORMS
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
    most_bytes: int | None = None,
    **special: tuple[pa.DataType, Callable[[Any], Any]],
) -> Kind:
    decode = msgspec.json.Decoder(message).decode
    return Kind(decode, attrgetter(time), _columns(message, **special), most_bytes)


KINDS: Mapping[str, Kind] = {
    topics.TICKS_RAW: _kind(Tick, most_bytes=MAX_BYTES),
    topics.TICKS_FEATURES: _kind(FeatureRow),
    topics.PREDICTIONS: _kind(Prediction, scores=(_PREDICTED, _predicted)),
    topics.OUTCOMES: _kind(Outcome, scores=(_EVALUATED, _evaluated)),
    topics.CANDLES: _kind(Candle, "ts_open_ns"),
}
"""The topics that are archived."""


class TableBuilder:
    """Messages of one file, turned into columns while they come, in their order.

    Parameters
    ----------
    columns
        Arrow type of each column, and how its value is read from a message.
    partition
        Of the topic that the messages come from.
    """

    def __init__(self, columns: Columns, partition: int) -> None:
        self._columns = {**columns, **_place_columns(partition)}
        self._waiting: list[Placed] = []
        self._chunks: list[pa.Table] = []

    def add(self, offset: int, ts_ms: int, message: Any) -> None:
        """Take the next message."""
        self._waiting.append((offset, ts_ms, message))
        if len(self._waiting) == _CHUNK:
            self._chunks.append(self._chunk())

    def table(self) -> pa.Table:
        """Return all messages so far."""
        chunks = [*self._chunks, self._chunk()] if self._waiting else self._chunks
        return pa.concat_tables(chunks)

    def _chunk(self) -> pa.Table:
        waiting, self._waiting = self._waiting, []
        messages = [message for _offset, _ts_ms, message in waiting]
        columns = {}
        for name, (type_, read) in self._columns.items():
            taken = waiting if name in PLACE else messages
            columns[name] = pa.array(list(map(read, taken)), type_)
        return pa.table(columns)


def _place_columns(partition: int) -> Columns:
    return {
        "log_partition": (pa.int32(), lambda _placed: partition),
        "log_offset": (pa.int64(), itemgetter(0)),
        "log_ts_ms": (pa.int64(), itemgetter(1)),
    }


UNREADABLE: Columns = {"payload": (pa.binary(), lambda payload: payload)}
"""Columns of what is no message of its topic: the raw bytes."""
