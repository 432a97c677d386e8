"""What becomes known at a prediction: the outcomes to publish, and the rows that quality counts."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from flows.codec.pending_predictions import PredictionBatch, ScoredBy
from flows.monitoring.quality import Evaluated, FirstOfSecond
from flows.numeric.arrays import Float64, Int64
from flows.targets import Realized
from schemas.models import TargetKind
from schemas.predictions import Outcome, OutcomeScore

# Offset that made it known, offset of the prediction, key, outcome.
Message = tuple[int, int, bytes, bytes]

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Known:
    """Predictions of one batch and one set of models whose truth came to be known.

    ``rows`` are theirs in ``batch`` and ``places`` theirs in ``realized``, int64, shape (m,).
    """

    batch: PredictionBatch
    rows: Int64
    places: Int64
    model_set: int
    realized: Realized


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """One target of a set of models: its first score column; value and truth, shape (m,)."""

    models: ScoredBy
    kind: TargetKind
    column: int
    value: Float64
    truth: Float64


def evaluated_rows(
    targets: list[KnownTarget], known: Known, counted: dict[str, FirstOfSecond], partition: int
) -> list[Evaluated]:
    """Return what live quality counts: warm rows with a truth, the first of each second."""
    found = []
    batch = known.batch
    for target in targets:
        own = target.models
        defined = np.flatnonzero(~np.isnan(target.truth) & batch.warm[known.rows])
        rows = known.rows[defined]
        first = counted.setdefault(own.target, FirstOfSecond()).pick(
            batch.symbol_id[rows], batch.ts_effective_ns[rows]
        )
        defined, rows = defined[first], rows[first]
        for at, ref in enumerate((own.ref, *own.shadow)):
            scores = batch.scores[rows, target.column + at]
            if target.kind == "classification" and not _are_probabilities(scores):
                continue  # of a foreign writer: the product's own are in [0, 1]
            found.append(
                Evaluated(
                    target=own.target,
                    kind=target.kind,
                    model=ref,
                    role="champion" if at == 0 else "challenger",
                    variant=own.variant if at == 0 else None,
                    ts_event_ns=batch.ts_event_ns[rows],
                    scores=scores,
                    truths=target.truth[defined],
                    partition=partition,
                )
            )
    return found


def _are_probabilities(scores: Float64) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def outcome_messages(
    targets: list[KnownTarget],
    known: Known,
    names: list[tuple[str, str]],
    newest: PredictionBatch,
) -> list[Message]:
    """Encode each prediction that has a truth; ``newest`` is the batch that made them known."""
    batch, realized = known.batch, known.realized
    known_offsets = newest.offset[realized.known_row[known.places]]
    ts_known_ns = realized.ts_known_ns[known.places].tolist()
    messages = []
    for at, (row, known_offset) in enumerate(
        zip(known.rows.tolist(), known_offsets.tolist(), strict=True)
    ):
        scores = {
            target.models.target: _outcome_score(target, at, batch.scores[row])
            for target in targets
            if not math.isnan(target.truth[at])
        }
        if not scores:
            continue
        venue, symbol = names[batch.symbol_id[row]]
        outcome = Outcome(
            symbol=symbol,
            venue=venue,
            ts_event_ns=int(batch.ts_event_ns[row]),
            ts_known_ns=ts_known_ns[at],
            scores=scores,
            feature_set=int(batch.feature_set[row]),
            partition=int(batch.origin_partition[row]),
            offset=int(batch.origin_offset[row]),
            known_offset=known_offset,
        )
        offset = int(batch.offset[row])
        messages.append((known_offset, offset, symbol.encode(), _ENCODER.encode(outcome)))
    return messages


def _outcome_score(target: KnownTarget, at: int, scores: Float64) -> OutcomeScore:
    own = target.models
    shadow = scores[target.column + 1 : target.column + 1 + len(own.shadow)].tolist()
    return OutcomeScore(
        score=float(scores[target.column]),
        model=own.model,
        version=own.version,
        variant=own.variant,
        truth=float(target.truth[at]),
        value=float(target.value[at]),
        shadow=dict(zip(own.shadow, shadow, strict=True)),
    )
