"""Every message must have become exactly one thing, and the oracle must agree on which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.predictions import Prediction
from tests.fuzz.chain import Chain, as_log, batches
from tests.oracle.expectation import Expected, ExpectedDeadLetter, Origin, expect
from tests.proof.checker import Defect, Outputs, check
from tests.proof.scores import Store, check_scores, unscorable
from tests.support.kafka.tools import Message, Outgoing

_LETTER = msgspec.json.Decoder(DeadLetter)
_PREDICTION = msgspec.json.Decoder(Prediction)


@dataclass
class Account:
    """What became of a number of messages."""

    predictions: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    defects: list[Defect] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many messages were accounted for."""
        return self.predictions + self.duplicates + self.dead_letters

    def add(self, other: "Account") -> None:
        """Add another account to this one."""
        self.predictions += other.predictions
        self.duplicates += other.duplicates
        self.dead_letters += other.dead_letters
        self.reasons += other.reasons
        self.defects += other.defects


def run_account(chain: Chain, messages: Sequence[Outgoing], seed: int, store: Store) -> Account:
    """Run messages through the flow's steps and account for each; ``store`` is their models'."""
    log = as_log(messages)
    for batch in batches(log, seed):
        chain.run(batch)
    account = account_of(log, chain.outputs, store)
    silent = {(message.partition, message.offset) for message in log} - _seen(chain.outputs)
    wrong = chain.duplicates ^ silent
    account.defects += [
        Defect("different", "duplicates", origin, "neither output nor duplicate, or both")
        for origin in sorted(wrong)
    ]
    return account


def account_of(log: Sequence[Message], outputs: Outputs, store: Store) -> Account:
    """Compare outputs with what the oracle expects of ``ticks.raw``.

    The oracle knows no models: a tick is expected as a dead letter where a champion, asked again
    for the row that was published, has no finite score for it. Its feature row is there all the
    same.
    """
    expected = expect(log)
    scored = Expected(dict(expected.rows), dict(expected.dead_letters), expected.duplicates)
    payloads = {(message.partition, message.offset): message.value for message in log}
    for origin in unscorable(outputs.features, store) & expected.rows.keys():
        del scored.rows[origin]
        letter = ExpectedDeadLetter(frozenset({Reason.UNSCORABLE}), payloads[origin])
        scored.dead_letters[origin] = letter
    without = Outputs(outputs.predictions, [], outputs.dead_letters)
    defects = [
        *check(scored, without, with_features=False),
        *check_scores(outputs.predictions, outputs.features, store),
        *(
            defect
            for defect in check(expected, Outputs([], outputs.features, []))
            if defect.topic == topics.TICKS_FEATURES
        ),
    ]
    letters = [_LETTER.decode(message.value) for message in outputs.dead_letters]
    return Account(
        predictions=len(outputs.predictions),
        duplicates=len(expected.duplicates),
        dead_letters=len(outputs.dead_letters),
        reasons=Counter(str(each.reason) for each in letters),
        defects=defects,
    )


def _origin(letter: DeadLetter) -> Origin:
    return (-1 if letter.partition is None else letter.partition, letter.offset or 0)


def _seen(outputs: Outputs) -> set[Origin]:
    predicted = [_PREDICTION.decode(message.value) for message in outputs.predictions]
    seen = {(each.partition, each.offset) for each in predicted}
    return seen | {_origin(_LETTER.decode(message.value)) for message in outputs.dead_letters}


def feature_bytes(messages: Sequence[Message]) -> list[bytes]:
    """Return the feature rows' bytes in order, whatever the batches were."""
    return [message.value for message in messages]
