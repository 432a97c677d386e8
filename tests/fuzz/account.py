"""Every message must have become exactly one thing, and the twin must agree on which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.dead_letters import DeadLetter, Reason
from schemas.predictions import Prediction
from tests.fuzz.chain import Chain, as_log, batches
from tests.proof.checker import Defect, Outputs, check
from tests.support.kafka_tools import Message, Outgoing
from tests.twin.expectation import Expected, ExpectedLetter, Origin, expect

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


def run_account(chain: Chain, messages: Sequence[Outgoing], seed: int) -> Account:
    """Run messages through the flow's steps and account for each."""
    log = as_log(messages)
    for batch in batches(log, seed):
        chain.run(batch)
    account = account_of(expect(log), chain.outputs)
    silent = {(message.partition, message.offset) for message in log} - _seen(chain.outputs)
    wrong = chain.duplicates ^ silent
    account.defects += [
        Defect("different", "duplicates", origin, "neither output nor duplicate, or both")
        for origin in sorted(wrong)
    ]
    return account


def account_of(expected: Expected, outputs: Outputs) -> Account:
    """Compare outputs with the twin's expectation.

    The twin knows no models: where the flow says that it could not score a tick, the tick is
    expected as a dead letter. Its feature row is there all the same.
    """
    letters = [_LETTER.decode(message.value) for message in outputs.dead_letters]
    unscorable = {_origin(each) for each in letters if each.reason is Reason.UNSCORABLE}
    defects = []
    payloads = {_origin(each): each.payload for each in letters}
    of_predictions = Expected(dict(expected.rows), dict(expected.letters), expected.duplicates)
    for origin in unscorable & expected.rows.keys():
        del of_predictions.rows[origin]
        letter = ExpectedLetter(frozenset({Reason.UNSCORABLE}), payloads[origin])
        of_predictions.letters[origin] = letter
    without = Outputs(outputs.predictions, [], outputs.dead_letters)
    defects += check(of_predictions, without, with_features=False)
    defects += [
        defect
        for defect in check(expected, Outputs([], outputs.features, []))
        if defect.topic == "ticks.features"
    ]
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
