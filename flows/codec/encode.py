"""Scored rows to messages.

The hot path assembles a message from a few parts: columns of numbers, and text that is constant for
a symbol, a model or a batch. A test holds the result to what msgspec makes of a
:class:`schemas.predictions.Prediction`, which takes twice the time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from flows.codec.batch import GAP, LATE, NO_TRADE_ID, RESTART, WARM, TickBatch
from flows.codec.message_parts import Chosen, Floats, Integers, Packed, Part, Vectors, rendered
from flows.codec.rows import FeatureRows, TargetScores
from flows.codec.symbols import SymbolTable
from flows.numeric.arrays import Bool, Int64
from schemas.dead_letters import DeadLetter, Reason
from schemas.features import FEATURE_SET
from schemas.predictions import Prediction, TargetScore

_ENCODER = msgspec.json.Encoder()
_FLAGS = LATE | RESTART | GAP | WARM
Scalar = TypeVar("Scalar", bound=np.generic)
Render = Callable[[Sequence[Part], int], list[bytes]]
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


def scorable(
    features: FeatureRows, rows: Int64, scores: Sequence[TargetScores]
) -> tuple[Int64, list[TargetScores], list[tuple[int, str]]]:
    """Return the rows that become predictions, and their scores.

    Parameters
    ----------
    rows
        int64, shape (n,): which ticks of the batch were scored, rising.
    scores
        One entry per target, its arrays of shape (n,).

    Returns
    -------
    Rows and scores of those that have finite scores and a mid price, and for each other row the row
    and what is wrong.
    """
    unscorable = _unscorable(features, rows, scores)
    if not unscorable:
        return rows, list(scores), []
    usable = ~np.isin(rows, [row for row, _why in unscorable])
    return rows[usable], [_select(target, usable) for target in scores], unscorable


def predictions(
    batch: TickBatch,
    features: FeatureRows,
    rows: Int64,
    scores: Sequence[TargetScores],
    ts_scored_ns: int,
    text: SymbolText,
    render: Render = rendered,
) -> list[bytes]:
    """Encode a prediction for each row.

    Parameters
    ----------
    rows
        int64, shape (n,): which ticks of the batch, rising; see :func:`scorable`.
    scores
        One entry per target, its arrays of shape (n,); a champion's are finite.
    render
        Makes messages of parts: :class:`flows.codec.row_writer.RowWriter`, or what it equals.
    """
    if any(not np.isfinite(values).all() for t in scores for values in t.shadow.values()):
        return _plain(batch, features, rows, scores, ts_scored_ns, text)
    parts: list[Part] = [
        Chosen(text.heads, _of(batch.symbol_id, rows)),
        Integers(_of(batch.ts_event_ns, rows)),
        b',"trade_id":',
        Integers(_of(batch.trade_id, rows), null=NO_TRADE_ID),
        b',"price":',
        Floats(_of(batch.price, rows)),
        b',"mid":',
        Floats(_of(features.mid, rows)),
        Chosen(_flag_texts(), _of(features.flags, rows) & _FLAGS),
    ]
    for position, target in enumerate(scores):
        parts.extend(_score_parts(target, first=position == 0))
    parts += [_tail(batch.partition, ts_scored_ns), Integers(_of(batch.offset, rows)), b"}"]
    return render(parts, len(rows))


def feature_rows(
    batch: TickBatch,
    features: FeatureRows,
    rows: Int64,
    text: SymbolText,
    render: Render = rendered,
    *,
    packed: bool = False,
) -> list[bytes]:
    """Encode the feature vector of each of these rows, float32.

    Parameters
    ----------
    packed
        Write the values as ``values_f32``, with NaN for an undefined one, and ``values`` empty.
    """
    warm = _of(features.flags, rows) & WARM != 0
    head = b',"feature_set":%d,"warm":' % FEATURE_SET
    values = _of(features.values, rows)
    name, vectors, end = (
        (b',"values":[],"values_f32":"', Packed(values), b'"')
        if packed
        else (b',"values":[', Vectors(values), b"]")
    )
    parts: list[Part] = [
        Chosen(text.heads, _of(batch.symbol_id, rows)),
        Integers(_of(batch.ts_event_ns, rows)),
        head,
        Chosen([b"false" + name, b"true" + name], warm.astype(np.int64)),
        vectors,
        end + b',"partition":%d,"offset":' % batch.partition,
        Integers(_of(batch.offset, rows)),
        b"}",
    ]
    return render(parts, len(rows))


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


def _of(column: npt.NDArray[Scalar], rows: Int64) -> npt.NDArray[Scalar]:
    """Return a column's values at rising rows; the column itself where they are all of its rows."""
    return column if len(rows) == len(column) else column[rows]


@cache
def _flag_texts() -> list[bytes]:
    """Return the text of each set of flags, by its bits."""
    named = {"warm": WARM, "late": LATE, "gap": GAP, "restart": RESTART}
    texts = []
    for bits in range(_FLAGS + 1):
        shown = _ENCODER.encode({name: bool(bits & bit) for name, bit in named.items()})
        texts.append(b"," + shown[1:-1] + b',"scores":{')
    return texts


def _score_parts(target: TargetScores, *, first: bool) -> list[Part]:
    head = (b"" if first else b",") + _ENCODER.encode(target.target) + b':{"score":'
    manifest = target.manifest
    model = {"model": manifest.name, "version": manifest.version, "variant": manifest.variant}
    named = b"," + _ENCODER.encode(model)[1:-1] + b',"decision":'
    end = b',"shadow":{'
    decided: Part = named + b"null" + end
    if target.decisions is not None:
        texts = [named + b"false" + end, named + b"true" + end]
        decided = Chosen(texts, target.decisions.astype(np.int64))
    parts: list[Part] = [head, Floats(target.scores), decided]
    for position, (ref, values) in enumerate(target.shadow.items()):
        comma = b"" if position == 0 else b","
        parts += [comma + _ENCODER.encode(ref) + b":", Floats(values)]
    return [*parts, b"}}"]


def _tail(partition: int, ts_scored_ns: int) -> bytes:
    return b'},"feature_set":%d,"ts_scored_ns":%d,"partition":%d,"offset":' % (
        FEATURE_SET,
        ts_scored_ns,
        partition,
    )


def _unscorable(
    features: FeatureRows, rows: Int64, scores: Sequence[TargetScores]
) -> list[tuple[int, str]]:
    finite = np.isfinite(_of(features.mid, rows))
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
    text: SymbolText,
) -> list[bytes]:
    """Encode row by row, leaving out a challenger where its score is not finite."""
    values = []
    for at, row in enumerate(rows.tolist()):
        venue, symbol = text.symbols.names[batch.symbol_id[row]]
        flags, trade_id = int(features.flags[row]), int(batch.trade_id[row])
        prediction = Prediction(
            symbol=symbol,
            venue=venue,
            ts_event_ns=int(batch.ts_event_ns[row]),
            trade_id=None if trade_id == NO_TRADE_ID else trade_id,
            price=float(batch.price[row]),
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
