"""``python -m tests.proof.feeds``: the live clients against venues that fail, seed by seed."""

import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from tests.proof.feeds.ingest import Ingests
from tests.proof.feeds.plan import FEEDS, plan
from tests.proof.feeds.run import ATTEMPTS, Outcome, run_calmly
from tests.proof.needs import require_apache
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka


class Through(StrEnum):
    """What ticks go through before they are checked."""

    NONE = "none"
    APACHE = "apache"
    EMBEDDED = "embedded"


FeedChoice = StrEnum("FeedChoice", {name: name for name in ("all", *FEEDS)})

_SHOWN = 5
_TOLD = 50


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


EXAMPLE = "Example: python -m tests.proof.feeds --feed binance --seeds 50"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    feed: Annotated[FeedChoice, typer.Option(help="Which client.")] = FeedChoice["all"],
    seeds: Annotated[int, typer.Option(min=1, help="How many for each feed.")] = 1_000,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    burst: Annotated[int, typer.Option(min=1, help="Messages in a burst.")] = 5_000,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time, without a broker.")] = 6,
    broker: Annotated[
        Through, typer.Option(help="Run flows.ingest, and read its topics from this broker.")
    ] = Through.NONE,
) -> None:
    """Let venues misbehave, and hold every tick, mark and dead letter against the oracle.

    Ends with one JSON line; exit code 1 where anything is missing, twice, different, out of order,
    marked falsely or not marked, where a dead letter is missing or has another reason, or where a
    busy machine disturbed a seed three times.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    begin = time.monotonic()
    names = FEEDS if feed == "all" else (feed.value,)
    wanted = range(first, first + seeds)
    accounts = {name: Account() for name in names}
    if broker is Through.NONE:
        outcomes = _in_process(names, wanted, burst, jobs)
    else:
        outcomes = _through(broker, names, wanted, burst)
    for outcome in outcomes:
        account = accounts[outcome.plan.feed]
        account.add(outcome)
        _tell(outcome)
        if account.seeds % _TOLD == 0 or account.seeds == seeds:
            passed_s = time.monotonic() - begin
            name = outcome.plan.feed
            sys.stderr.write(f"[{passed_s:6.1f} s] {name}: {account.seeds} seeds\n")
    failed = any(account.defects or account.disturbed for account in accounts.values())
    facts = {"failed": failed, "broker": broker.value}
    seconds = round(time.monotonic() - begin, 1)
    total = {name: account.line() for name, account in accounts.items()}
    sys.stdout.write(json.dumps({**facts, "seconds": seconds, **total}) + "\n")
    raise typer.Exit(1 if failed else 0)


def _in_process(
    names: Sequence[str], seeds: Sequence[int], burst: int, jobs: int
) -> Iterator[Outcome]:
    """Run the clients in this process, some seeds at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        for name in names:
            yield from pool.map(partial(_run_seed, name, burst), seeds)


def _run_seed(name: str, burst: int, seed: int) -> Outcome:
    return run_calmly(plan(name, seed, burst))


def _through(
    broker: Through, names: Sequence[str], seeds: Sequence[int], burst: int
) -> Iterator[Outcome]:
    """Run ``flows.ingest`` for each seed, with the venues of all feeds at once."""
    folder = Path(tempfile.mkdtemp(prefix="voltick-proof-"))
    sys.stderr.write(f"output of every run in {folder}\n")
    with _started(broker, folder) as started, closing(Ingests(started, folder)) as ingests:
        for seed in seeds:
            plans = [plan(name, seed, burst) for name in names]
            for attempt in range(1, ATTEMPTS + 1):
                outcomes = ingests.run(plans)
                calm = [each for each in outcomes if not each.disturbed]
                yield from calm
                done = {each.plan.feed for each in calm}
                plans = [each for each in plans if each.feed not in done]
                if not plans:
                    break
                if attempt == ATTEMPTS:
                    yield from (each for each in outcomes if each.disturbed)


def _started(broker: Through, folder: Path) -> ApacheKafka | EmbeddedBroker:
    (folder / "broker").mkdir()
    if broker is Through.EMBEDDED:
        return EmbeddedBroker(folder / "broker")
    require_apache()
    return ApacheKafka(folder / "broker")


def _tell(outcome: Outcome) -> None:
    if outcome.disturbed or outcome.defects:
        title = "disturbed" if outcome.disturbed else "wrong"
        faults = ", ".join(outcome.plan.faults_of())
        sys.stderr.write(f"{outcome.plan.feed} seed {outcome.plan.seed} {title}: {faults}\n")
    for defect in outcome.defects[:_SHOWN]:
        sys.stderr.write(f"  {defect.kind}: {defect.detail}\n")


if __name__ == "__main__":
    app()
