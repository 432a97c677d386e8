"""Scored rows to messages.

The hot path assembles a message from a few pieces: numbers, which orjson writes for a whole column
in one call, and text that is constant for a symbol, a model or a batch. A test holds the result to
what msgspec makes of a :class:`schemas.predictions.Prediction`, which takes twice the time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from flows.codec.batch import GAP, LATE, NO_TRADE_ID, RESTART, WARM, TickBatch
from flows.codec.rows import FeatureRows, TargetScores
from flows.codec.symbols import SymbolTable
from flows.numeric.arrays import Bool, Float32, Int64, UInt8
from schemas.dead_letters import DeadLetter, Reason
from schemas.features import FEATURE_SET
from schemas.predictions import Prediction, TargetScore

_ENCODER = msgspec.json.Encoder()
_ARRAYS = orjson.OPT_SERIALIZE_NUMPY
_FLAGS = LATE | RESTART | GAP | WARM
_BESIDE_PAYLOAD_BYTES = 16 * 1024  # the other fields, and what Kafka adds to a message


@dataclass(slots=True)
class SymbolText:
    """What is the same in every message of a symbol, by symbol number; one per table."""

    symbols: SymbolTable
    names: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    _read: int = 0

    def refresh(self) -> None:
        """Add what the table has learned."""
        room = len(self.symbols.names) - len(self.names)
        self.names += [""] * room
        self.keys += [b""] * room
        self.heads += [b""] * room
        learned = self.symbols.learned
        for number in learned[self._read :]:
            venue, symbol = self.symbols.names[number]
            head = _ENCODER.encode({"symbol": symbol, "venue": venue})[:-1]
            self.names[number] = symbol
            self.keys[number] = symbol.encode()
            self.heads[number] = head + b',"ts_event_ns":'
        self._read = len(learned)


@dataclass(frozen=True, slots=True)
class Messages:
    """Encoded messages beside the rows of the tick batch they stand for, int64, shape (n,)."""

    rows: Int64
    values: list[bytes]


def predictions(
    batch: TickBatch,
    features: FeatureRows,
    rows: Int64,
    scores: Sequence[TargetScores],
    ts_scored_ns: int,
    text: SymbolText,
) -> tuple[Messages, list[tuple[int, str]]]:
    """Encode a prediction for each scored row.

    Parameters
    ----------
    rows
        int64, shape (n,): which ticks of the batch were scored, rising.
    scores
        One entry per target, its arrays of shape (n,).

    Returns
    -------
    The messages, and for each row that has no finite score or mid price the row and what is wrong.
    """
    unscorable = _unscorable(features, rows, scores)
    if unscorable:
        usable = ~np.isin(rows, [row for row, _why in unscorable])
        scores = [_select(target, usable) for target in scores]
        rows = rows[usable]
    if any(not np.isfinite(values).all() for t in scores for values in t.shadow.values()):
        return Messages(rows, _plain(batch, features, rows, scores, ts_scored_ns)), unscorable
    if len(rows) == 0:
        return Messages(rows, []), unscorable
    pieces: list[Iterable[bytes]] = [
        [text.heads[number] for number in batch.symbol_id[rows].tolist()],
        _numbers(batch.ts_event_ns[rows]),
        repeat(b',"trade_id":'),
        _trade_ids(batch.trade_id[rows]),
        repeat(b',"price":'),
        _numbers(batch.price[rows]),
        repeat(b',"mid":'),
        _numbers(features.mid[rows]),
        _flag_texts(features.flags[rows]),
    ]
    for position, target in enumerate(scores):
        pieces.extend(_score_pieces(target, first=position == 0))
    pieces.append(repeat(_tail(batch.partition, ts_scored_ns)))
    pieces.append(_numbers(batch.offset[rows]))
    pieces.append(repeat(b"}"))
    # The columns have n entries, the constants as many as it takes.
    return Messages(rows, list(map(b"".join, zip(*pieces, strict=False)))), unscorable


def feature_rows(
    batch: TickBatch, features: FeatureRows, rows: Int64, text: SymbolText
) -> Messages:
    """Encode the feature vector of each of these rows, float32; an undefined value is null."""
    if len(rows) == 0:
        return Messages(rows, [])
    vectors = _vectors(features.values[rows])
    warm = b',"feature_set":%d,"warm":true,"values":[' % FEATURE_SET
    cold = b',"feature_set":%d,"warm":false,"values":[' % FEATURE_SET
    pieces: list[Iterable[bytes]] = [
        [text.heads[number] for number in batch.symbol_id[rows].tolist()],
        _numbers(batch.ts_event_ns[rows]),
        [warm if flag else cold for flag in (features.flags[rows] & WARM).tolist()],
        vectors,
        repeat(b'],"partition":%d,"offset":' % batch.partition),
        _numbers(batch.offset[rows]),
        repeat(b"}"),
    ]
    return Messages(rows, list(map(b"".join, zip(*pieces, strict=False))))


def encode_dead_letters(found: Iterable[DeadLetter], limit: int | None = None) -> list[bytes]:
    """Encode dead letters.

    Parameters
    ----------
    limit
        Most bytes of a message, if any. A payload that makes it longer is cut, and ``detail`` says
        so: a message of any size may arrive compressed, and must not stop the flow. The whole
        payload stays at the message's origin.
    """
    if limit is None:
        return [_ENCODER.encode(each) for each in found]
    longest = (limit - _BESIDE_PAYLOAD_BYTES) // 4 * 3
    return [_ENCODER.encode(_cut(each, longest)) for each in found]


def _cut(dead_letter: DeadLetter, longest: int) -> DeadLetter:
    size = len(dead_letter.payload)
    if size <= longest:
        return dead_letter
    return msgspec.structs.replace(
        dead_letter,
        detail=f"{dead_letter.detail} (first {longest} of {size} bytes)",
        payload=dead_letter.payload[:longest],
    )


def unscorable_dead_letters(
    batch: TickBatch,
    unscorable: Sequence[tuple[int, str]],
    offsets: Sequence[int],
    payloads: Sequence[bytes],
    topic: str,
) -> list[DeadLetter]:
    """Return dead letters for rows without a finite score; ``offsets`` are the raw batch's."""
    found = []
    for row, detail in unscorable:
        offset = int(batch.offset[row])
        payload = payloads[int(np.searchsorted(offsets, offset))]
        found.append(
            DeadLetter(
                reason=Reason.UNSCORABLE,
                detail=detail,
                payload=payload,
                topic=topic,
                partition=batch.partition,
                offset=offset,
            )
        )
    return found


def _numbers(column: npt.NDArray[np.generic]) -> list[bytes]:
    return orjson.dumps(np.ascontiguousarray(column), option=_ARRAYS)[1:-1].split(b",")


def _vectors(values: Float32) -> list[bytes]:
    """Write each row's numbers with the fewest digits that come back as the same float32.

    msgspec would write them as doubles: twice the digits, and three times the time.
    """
    return orjson.dumps(np.ascontiguousarray(values), option=_ARRAYS)[2:-2].split(b"],[")


def _trade_ids(column: Int64) -> list[bytes]:
    if (column != NO_TRADE_ID).all():
        return _numbers(column)
    return [b"null" if i == NO_TRADE_ID else b"%d" % i for i in column.tolist()]


def _flag_texts(flags: UInt8) -> list[bytes]:
    texts: dict[int, bytes] = {}
    found = (flags & _FLAGS).tolist()
    for bits in set(found):
        named = {"warm": WARM, "late": LATE, "gap": GAP, "restart": RESTART}
        shown = _ENCODER.encode({name: bool(bits & bit) for name, bit in named.items()})
        texts[bits] = b"," + shown[1:-1] + b',"scores":{'
    return [texts[bits] for bits in found]


def _score_pieces(target: TargetScores, *, first: bool) -> list[Iterable[bytes]]:
    head = (b"" if first else b",") + _ENCODER.encode(target.target) + b':{"score":'
    manifest = target.manifest
    model = {"model": manifest.name, "version": manifest.version, "variant": manifest.variant}
    named = b"," + _ENCODER.encode(model)[1:-1] + b',"decision":'
    end = b',"shadow":{'
    middle: Iterable[bytes]
    if target.threshold is None:
        middle = repeat(named + b"null" + end)
    else:
        yes, no = named + b"true" + end, named + b"false" + end
        middle = [yes if d else no for d in (target.scores >= target.threshold).tolist()]
    pieces: list[Iterable[bytes]] = [repeat(head), _numbers(target.scores), middle]
    for position, (ref, values) in enumerate(target.shadow.items()):
        comma = b"" if position == 0 else b","
        pieces += [repeat(comma + _ENCODER.encode(ref) + b":"), _numbers(values)]
    return [*pieces, repeat(b"}}")]


def _tail(partition: int, ts_scored_ns: int) -> bytes:
    return b'},"feature_set":%d,"ts_scored_ns":%d,"partition":%d,"offset":' % (
        FEATURE_SET,
        ts_scored_ns,
        partition,
    )


def _unscorable(
    features: FeatureRows, rows: Int64, scores: Sequence[TargetScores]
) -> list[tuple[int, str]]:
    finite = np.isfinite(features.mid[rows])
    for target in scores:
        finite &= np.isfinite(target.scores)
    if finite.all():
        return []
    found = []
    for at in np.flatnonzero(~finite).tolist():
        row = int(rows[at])
        broken = [t for t in scores if not np.isfinite(t.scores[at])]
        if broken:
            ref, value = broken[0].manifest.ref, broken[0].scores[at]
            found.append((row, f"the score of {broken[0].target} by {ref} is {value}"))
        else:
            found.append((row, f"the mid price is {features.mid[row]}"))
    return found


def _select(target: TargetScores, usable: Bool) -> TargetScores:
    return TargetScores(
        target=target.target,
        kind=target.kind,
        manifest=target.manifest,
        scores=target.scores[usable],
        threshold=target.threshold,
        shadow={ref: values[usable] for ref, values in target.shadow.items()},
    )


def _plain(
    batch: TickBatch,
    features: FeatureRows,
    rows: Int64,
    scores: Sequence[TargetScores],
    ts_scored_ns: int,
) -> list[bytes]:
    """Encode row by row, leaving out a challenger where its score is not finite."""
    values = []
    for at, row in enumerate(rows.tolist()):
        tick, flags = batch.ticks[row], int(features.flags[row])
        prediction = Prediction(
            symbol=tick.symbol,
            venue=tick.venue,
            ts_event_ns=tick.ts_event_ns,
            trade_id=tick.trade_id,
            price=tick.price,
            mid=float(features.mid[row]),
            warm=bool(flags & WARM),
            late=bool(flags & LATE),
            gap=bool(flags & GAP),
            restart=bool(flags & RESTART),
            scores={target.target: _target_score(target, at) for target in scores},
            feature_set=FEATURE_SET,
            ts_scored_ns=ts_scored_ns,
            partition=batch.partition,
            offset=int(batch.offset[row]),
        )
        values.append(_ENCODER.encode(prediction))
    return values


def _target_score(target: TargetScores, at: int) -> TargetScore:
    score = float(target.scores[at])
    shadow = {ref: float(values[at]) for ref, values in target.shadow.items()}
    return TargetScore(
        score=score,
        model=target.manifest.name,
        version=target.manifest.version,
        variant=target.manifest.variant,
        decision=None if target.threshold is None else score >= target.threshold,
        shadow={ref: value for ref, value in shadow.items() if np.isfinite(value)},
    )
