"""Compare what was served with what the log gives, offset by offset."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from flows.codec.batch import GAP, LATE, RESTART, WARM
from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.onnx_model import OnnxModel
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import decode_or_none
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow, Prediction
from training.consistency.recompute import Expected
from training.consistency.served import NO_DECISION, ServedOffsets, ServedScores

_LETTER = msgspec.json.Decoder(DeadLetter).decode
_PREDICTION = msgspec.json.Decoder(Prediction).decode
_FEATURE_ROW = msgspec.json.Decoder(FeatureRow).decode

TOLERANCE = 1e-6
EXAMPLES = 20
MISSING, EXTRA, DIFFERENT = "missing", "extra", "different"
CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Example:
    """One defect, to show."""

    topic: str
    kind: str
    partition: int
    offset: int
    detail: str


@dataclass(slots=True)
class TopicTally:
    """One topic's account."""

    expected: int = 0
    served: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is missing, extra or different."""
        return self.missing == self.extra == self.different == 0


@dataclass(slots=True)
class Account:
    """All findings, counted by topic, with some examples of each kind.

    ``unscored`` counts scores that cannot be recomputed, by model; ``causes`` tells why;
    ``unreadable`` counts tombstones and foreign messages, by topic. The flow writes neither, and a
    message that one of them replaced is missing, so they alone leave the account clean.
    """

    tallies: dict[str, TopicTally] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    models: dict[str, dict[str, float]] = field(default_factory=dict)
    unscored: Counter[str] = field(default_factory=Counter)
    causes: dict[str, str] = field(default_factory=dict)
    uncertain: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    _shown: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def unverified(self) -> dict[str, str]:
        """How many of a model's scores cannot be recomputed, and why."""
        return {ref: f"{count} scores: {self.causes[ref]}" for ref, count in self.unscored.items()}

    @property
    def clean(self) -> bool:
        """Whether nothing is missing, extra or different, and every score was recomputed.

        Where the log was trimmed so that no prediction's state is known, nothing has been proved.
        """
        predictions = self.tallies.get(topics.PREDICTIONS, TopicTally())
        proved = self.uncertain < predictions.served or predictions.served == 0
        return proved and not self.unverified and all(t.clean for t in self.tallies.values())

    def defect(self, topic: str, kind: str, partition: int, offset: int, detail: str) -> None:
        """Count a defect and keep it if it is among the first of its kind."""
        tally = self.tallies[topic]
        setattr(tally, kind, getattr(tally, kind) + 1)
        shown = self._shown.get((topic, kind), 0)
        if shown < EXAMPLES:
            self._shown[topic, kind] = shown + 1
            self.examples.append(Example(topic, kind, partition, offset, detail))


Models = Callable[[str], OnnxModel]


class Comparison:
    """Compares a range's expected rows with everything that was served.

    Parameters
    ----------
    expected
        By partition.
    bounds
        First and end offset of the range by partition; messages about others are passed over.
    models
        Returns a proven model by ``name@version``, or raises ModelRejectedError.
    with_features
        Whether ``ticks.features`` is published at all.
    account
        What is found is added to it; a new one by default.
    """

    def __init__(
        self,
        expected: Mapping[int, Expected],
        bounds: Mapping[int, tuple[int, int]],
        models: Models,
        *,
        with_features: bool = True,
        account: Account | None = None,
    ) -> None:
        self._expected = expected
        self._bounds = bounds
        self._models = models
        self._names = {number: part.symbols.names for number, part in expected.items()}
        watched = [topics.PREDICTIONS, topics.DEAD_LETTERS]
        if with_features:
            watched.append(topics.TICKS_FEATURES)
        self._served = {
            name: {
                number: ServedOffsets(
                    np.array(sorted(part.dead), np.int64)
                    if name == topics.DEAD_LETTERS
                    else part.offset
                )
                for number, part in expected.items()
            }
            for name in watched
        }
        # Ticks that no model could score have a dead letter instead of a prediction.
        self._unscorable = {number: ServedOffsets(part.offset) for number, part in expected.items()}
        self._scores: dict[str, ServedScores] = {}
        self.account = Account() if account is None else account
        for name in watched:
            self.account.tallies.setdefault(name, TopicTally())

    def dead_letter(self, value: bytes | None) -> None:
        """Take a message of ``dead.letters``; those of other programs are passed over.

        Call for all of them before :meth:`prediction`.
        """
        letter = decode_or_none(_LETTER, value)
        if letter is None:
            self.account.unreadable[topics.DEAD_LETTERS] += 1
            return
        if letter.topic != topics.TICKS_RAW or letter.partition is None or letter.offset is None:
            return
        number, offset = letter.partition, letter.offset
        unscorable = self._unscorable.get(number)
        if letter.reason is Reason.UNSCORABLE and unscorable is not None:
            scored = unscorable.row(offset)
            if scored is not None:
                unscorable.serve(scored)
                return
        if self._admit(topics.DEAD_LETTERS, number, offset) is None:
            return
        reason = self._expected[number].dead[offset]
        if reason is not letter.reason:
            detail = f"reason {letter.reason}, recomputed {reason}"
            self.account.defect(topics.DEAD_LETTERS, DIFFERENT, number, offset, detail)

    def prediction(self, value: bytes | None) -> None:
        """Take a message of ``predictions``."""
        one = decode_or_none(_PREDICTION, value)
        if one is None:
            self.account.unreadable[topics.PREDICTIONS] += 1
            return
        number, offset = one.partition, one.offset
        row = self._admit(topics.PREDICTIONS, number, offset)
        if row is None:
            return
        part = self._expected[number]
        wrong = list(_plain_differences(one, part, row, self._names[number]))
        if not part.known[row]:
            self.account.uncertain += 1
        elif wrong:
            detail = "; ".join(wrong)
            self.account.defect(topics.PREDICTIONS, DIFFERENT, number, offset, detail)
        for served in one.scores.values():
            own = self._scores.setdefault(f"{served.model}@{served.version}", ServedScores())
            own.add(number, row, served.score, served.decision, champion=True)
            for other, score in served.shadow.items():
                shadow = self._scores.setdefault(other, ServedScores())
                shadow.add(number, row, score, None, champion=False)

    def feature_row(self, value: bytes | None) -> None:
        """Take a message of ``ticks.features``."""
        if topics.TICKS_FEATURES not in self._served:
            return
        one = decode_or_none(_FEATURE_ROW, value)
        if one is None:
            self.account.unreadable[topics.TICKS_FEATURES] += 1
            return
        number, offset = one.partition, one.offset
        row = self._admit(topics.TICKS_FEATURES, number, offset)
        if row is None:
            return
        part = self._expected[number]
        if not part.known[row]:
            return
        wrong = list(_feature_differences(one, part, row, self._names[number]))
        if wrong:
            detail = "; ".join(wrong[:3]) + (f"; {len(wrong)} in all" if len(wrong) > 3 else "")
            self.account.defect(topics.TICKS_FEATURES, DIFFERENT, number, offset, detail)

    def finish(self) -> Account:
        """Recompute the scores, find what is missing, and return the account."""
        for ref in sorted(self._scores):
            self._check_scores(ref, self._scores[ref])
        for topic, partitions in self._served.items():
            for number, served in sorted(partitions.items()):
                excused = self._unscorable[number].count() if topic == topics.PREDICTIONS else 0
                self.account.tallies[topic].expected += len(served) - excused
                for offset in served.missing():
                    if not (excused and self._is_unscorable(number, offset)):
                        self.account.defect(topic, MISSING, number, offset, "never served")
        return self.account

    def _is_unscorable(self, number: int, offset: int) -> bool:
        row = self._unscorable[number].row(offset)
        return row is not None and self._unscorable[number].was_served(row)

    def _admit(self, topic: str, number: int, offset: int) -> int | None:
        """Count a message of the range; return its row if it stands for what is expected once."""
        first, end = self._bounds.get(number, (0, 0))
        if not first <= offset < end:
            return None
        self.account.tallies[topic].served += 1
        served = self._served[topic].get(number)
        row = None if served is None else served.row(offset)
        if topic == topics.PREDICTIONS and row is not None and self._is_unscorable(number, offset):
            row = None
        if served is None or row is None:
            self.account.defect(topic, EXTRA, number, offset, "its tick has no such output")
            return None
        if not served.serve(row):
            self.account.defect(topic, EXTRA, number, offset, "served twice")
            return None
        return row

    def _check_scores(self, ref: str, served: ServedScores) -> None:
        try:
            model = self._models(ref)
        except (ModelRejectedError, ModelStoreError) as error:
            self.account.unscored[ref] += len(served)
            self.account.causes[ref] = str(error)
            return
        worst = 0.0
        for number, part in sorted(self._expected.items()):
            columns = served.of(number)
            for begin in range(0, len(columns[0]), CHUNK):
                rows, *some = (column[begin : begin + CHUNK] for column in columns)
                scores = model.score(part.values[rows]).tolist()
                compared = zip(
                    rows.tolist(), *(column.tolist() for column in some), scores, strict=True
                )
                for row, said, decided, champion, score in compared:
                    if not part.known[row]:
                        continue
                    decision = None if decided == NO_DECISION else bool(decided)
                    difference = abs(said - score)
                    worst = max(worst, difference)
                    limit = model.manifest.threshold
                    meant = None if limit is None else said >= limit
                    if not difference <= TOLERANCE:
                        detail = f"{ref} scored {said!r}, recomputed {score!r}"
                    elif champion and decision is not meant:
                        detail = f"{ref} scored {said!r} with decision {decision}, meant is {meant}"
                    else:
                        continue
                    offset = int(part.offset[row])
                    self.account.defect(topics.PREDICTIONS, DIFFERENT, number, offset, detail)
        before = self.account.models.get(ref, {"scores": 0, "worst": 0.0})
        self.account.models[ref] = {
            "scores": before["scores"] + len(served),
            "worst": max(before["worst"], worst),
        }


def _plain_differences(
    one: Prediction, part: Expected, row: int, names: list[tuple[str, str]]
) -> Iterator[str]:
    venue, symbol = names[int(part.symbol_id[row])]
    flags = int(part.flags[row])
    yield from _unequal(
        (
            ("symbol", one.symbol, symbol),
            ("venue", one.venue, venue),
            ("ts_event_ns", one.ts_event_ns, int(part.ts_event_ns[row])),
            ("price", one.price, float(part.price[row])),
            ("mid", one.mid, float(part.mid[row])),
            ("warm", one.warm, bool(flags & WARM)),
            ("late", one.late, bool(flags & LATE)),
            ("gap", one.gap, bool(flags & GAP)),
            ("restart", one.restart, bool(flags & RESTART)),
            ("feature_set", one.feature_set, FEATURE_SET),
        )
    )


def _feature_differences(
    one: FeatureRow, part: Expected, row: int, names: list[tuple[str, str]]
) -> Iterator[str]:
    venue, symbol = names[int(part.symbol_id[row])]
    yield from _unequal(
        (
            ("symbol", one.symbol, symbol),
            ("venue", one.venue, venue),
            ("ts_event_ns", one.ts_event_ns, int(part.ts_event_ns[row])),
            ("warm", one.warm, bool(int(part.flags[row]) & WARM)),
            ("feature_set", one.feature_set, FEATURE_SET),
            ("number of values", len(one.values), len(NAMES)),
        )
    )
    if len(one.values) != len(NAMES):
        return
    wanted = part.values[row]
    said = np.array([math.nan if v is None else v for v in one.values], np.float64)
    # Shortest digits of a float32, read as float64: the way back is exact.
    narrow = said.astype(np.float32)
    same = (narrow.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(said) & np.isnan(wanted))
    for at in np.flatnonzero(~same).tolist():
        yield f"{NAMES[at]} is {one.values[at]!r}, recomputed {_shown(float(wanted[at]))}"


def _unequal(pairs: Iterable[tuple[str, object, object]]) -> Iterator[str]:
    for name, said, meant in pairs:
        if said != meant:
            yield f"{name} is {said!r}, recomputed {meant!r}"


def _shown(value: float) -> str:
    return "null" if math.isnan(value) else repr(value)
