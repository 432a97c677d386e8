"""``python -m tests.proof.feeds``: the live clients against venues that fail, seed by seed."""

import json
import logging
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Annotated

import structlog
import typer

from tests.proof.feeds.plan import FEEDS, plan
from tests.proof.feeds.run import Outcome, run_calmly

FeedChoice = StrEnum("FeedChoice", {name: name for name in ("all", *FEEDS)})

_SHOWN = 5


class Account:
    """What came of many seeds."""

    def __init__(self) -> None:
        self.seeds = self.ticks = self.gaps = self.lost = self.dead = self.disturbed = 0
        self.faults: Counter[str] = Counter()
        self.defects: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count a seed."""
        self.seeds += 1
        self.ticks += len(outcome.ticks)
        self.gaps += sum(tick.gap for tick in outcome.ticks)
        self.lost += outcome.wants.lost
        self.dead += len(outcome.dead)
        self.disturbed += outcome.disturbed
        self.faults.update(outcome.plan.faults_of())
        self.defects.update(defect.kind for defect in outcome.defects)

    def line(self) -> dict[str, object]:
        """Return the result as JSON has it."""
        return {
            "seeds": self.seeds,
            "ticks": self.ticks,
            "gaps": self.gaps,
            "lost": self.lost,
            "dead_letters": self.dead,
            "disturbed": self.disturbed,
            "faults": dict(sorted(self.faults.items())),
            "defects": dict(self.defects),
        }


EXAMPLE = "Example: python -m tests.proof.feeds --seed 7"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    feed: Annotated[FeedChoice, typer.Option(help="Which client.")] = FeedChoice["all"],
    seeds: Annotated[int, typer.Option(min=1, help="How many for each feed.")] = 1_000,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    burst: Annotated[int, typer.Option(min=1, help="Messages in a burst.")] = 5_000,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time.")] = 6,
) -> None:
    """Let venues misbehave, and hold every tick, mark and dead letter against the oracle.

    Ends with one JSON line; exit code 1 where anything is missing, twice, different, out of order,
    marked falsely or not marked, where a dead letter is missing or has another reason, or where a
    busy machine disturbed a seed three times.
    """
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)
    begin = time.monotonic()
    total = {}
    failed = False
    for name in FEEDS if feed == "all" else (feed.value,):
        account = Account()
        with ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(
                lambda seed, name=name: run_calmly(plan(name, seed, burst)),
                range(first, first + seeds),
            ):
                account.add(outcome)
                _tell(outcome)
        total[name] = account.line()
        failed = failed or bool(account.defects or account.disturbed)
        sys.stderr.write(f"[{time.monotonic() - begin:6.1f} s] {name}: {account.seeds} seeds\n")
    seconds = round(time.monotonic() - begin, 1)
    sys.stdout.write(json.dumps({"failed": failed, "seconds": seconds, **total}) + "\n")
    raise typer.Exit(1 if failed else 0)


def _tell(outcome: Outcome) -> None:
    if outcome.disturbed or outcome.defects:
        title = "disturbed" if outcome.disturbed else "wrong"
        faults = ", ".join(outcome.plan.faults_of())
        sys.stderr.write(f"{outcome.plan.feed} seed {outcome.plan.seed} {title}: {faults}\n")
    for defect in outcome.defects[:_SHOWN]:
        sys.stderr.write(f"  {defect.kind}: {defect.detail}\n")


if __name__ == "__main__":
    app()
