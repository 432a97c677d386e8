"""``python -m tests.proof.hostile``: mutated messages through the flow's own steps.

Decode, features, scores and encoding run in this process, without engine and broker, in rounds of
fresh state. Every message must become exactly one of prediction, duplicate and dead letter, as the
oracle says, and every output must be valid JSON of finite numbers. Some rounds run twice with other
batches: the feature rows must be the same bytes.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.account import Account, feature_bytes, run_account
from tests.fuzz.chain import Chain, as_log, baseline_scorer, batches
from tests.fuzz.messages import hostile_messages
from tests.proof.checker import Defect, first_of_each
from tests.proof.scores import Store

ROUND = 20_000
_RECUT_EVERY = 5


def prove(count: int, seed: int, say_every: int = 0) -> Account:
    """Account for ``count`` messages.

    Parameters
    ----------
    say_every
        Report progress on stderr after so many rounds; 0 for never.
    """
    folder = Path(tempfile.mkdtemp(prefix="voltick-hostile-"))
    scorer = baseline_scorer(folder)
    store = Store(folder)
    total = Account()
    for number, start in enumerate(range(0, count, ROUND)):
        messages = list(hostile_messages(seed + number, min(ROUND, count - start)))
        chain = Chain(scorer)
        account = run_account(chain, messages, seed, store)
        total.add(account)
        if number % _RECUT_EVERY == 0:
            again = Chain(scorer)
            for batch in batches(as_log(messages), seed + 1, longest=60):
                again.run(batch)
            if feature_bytes(again.outputs.features) != feature_bytes(chain.outputs.features):
                detail = f"round of seed {seed + number}: other batches, other bytes"
                total.defects.append(Defect("different", "ticks.features", (0, 0), detail))
        if say_every and (number + 1) % say_every == 0:
            sys.stderr.write(f"{total.inputs} of {count}\n")
    return total


EXAMPLE = "Example: python -m tests.proof.hostile --count 100000"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    count: Annotated[int, typer.Option(min=1, help="How many messages.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Of messages and batches.")] = 1,
) -> None:
    """Send mutated messages through the flow's steps and account for every one.

    Ends with one JSON line; exit code 1 where anything is unaccounted for.
    """
    begin = time.monotonic()
    account = prove(count, seed, say_every=5)
    for defect in first_of_each(account.defects):
        sys.stderr.write(f"{defect}\n")
    line = {
        "seed": seed,
        "inputs": account.inputs,
        "predictions": account.predictions,
        "duplicates": account.duplicates,
        "dead_letters": account.dead_letters,
        "reasons": dict(sorted(account.reasons.items())),
        "unaccounted": len(account.defects) + abs(count - account.inputs),
        "seconds": round(time.monotonic() - begin, 1),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    raise typer.Exit(1 if line["unaccounted"] else 0)


if __name__ == "__main__":
    app()
