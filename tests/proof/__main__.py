"""``python -m tests.proof``: one proof of exactly once, repeatable by its seed."""

import json
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tests.proof.catalogue import CATALOGUE, Entry
from tests.proof.checker import first_of_each
from tests.proof.cluster import Broker, Plan
from tests.proof.feeder import FeederKind
from tests.proof.needs import require_apache
from tests.proof.run import prove
from tests.support.embedded import EmbeddedBroker

Faults = StrEnum("Faults", {name: name for name in CATALOGUE})


class Kind(StrEnum):
    """Which broker."""

    APACHE = "apache"
    EMBEDDED = "embedded"


class GroupProtocol(StrEnum):
    """How members and broker speak; by the second the session time-out is the broker's."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


EXAMPLE = "Example: python -m tests.proof --fault kills --kills 3 --seed 7"

# No test waits for a proof: nodes that are alive may take as long as a busy machine needs.
_START_LIMIT_S = 600.0

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    seed: Annotated[int, typer.Option(help="Of the input and of the kill points.")] = 1,
    kills: Annotated[int, typer.Option(min=0, help="How many SIGKILLs.")] = 5,
    broker: Annotated[Kind, typer.Option(help="Guarantees are promised on apache.")] = Kind.APACHE,
    partitions: Annotated[int, typer.Option(min=1, max=12)] = 4,
    fault: Annotated[Faults, typer.Option(help="What happens to it.")] = Faults.kills,
    events: Annotated[int, typer.Option(min=1, help="What happens to members, how often.")] = 12,
    torment: Annotated[Faults | None, typer.Option(hidden=True)] = None,
    transaction_timeout: Annotated[int | None, typer.Option(help="Of the pipeline, ms.")] = None,
    ticks: Annotated[int, typer.Option(min=1, help="At least so many inputs.")] = 20_000,
    rate: Annotated[float, typer.Option(min=1, help="Inputs a second while killing.")] = 1_500.0,
    feeder: Annotated[
        FeederKind | None,
        typer.Option(help="Producer of the input.", show_default="idempotent, or as a fault needs"),
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=3, help="Of Apache Kafka, at least.")] = 1,
    standby: Annotated[bool, typer.Option(help="Members follow what others own.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Of each member's process.")] = 1,
    named: Annotated[bool, typer.Option(help="Members have names beyond their ends.")] = False,
    protocol: Annotated[
        GroupProtocol, typer.Option(help="Of the group, for members.")
    ] = GroupProtocol.CLASSIC,
    oracle_rows: Annotated[int, typer.Option(help="Feature rows the oracle recomputes.")] = 2_000,
) -> None:
    """Kill the pipeline under load and hold what it wrote against the oracle.

    Ends with one JSON line; exit code 1 where anything is missing, twice, different, out of order
    or in the wrong partition, or where an incarnation did not end as planned. On the embedded
    broker aborted transactions stay visible: outputs twice or out of order after a kill are
    reported but expected there.
    """
    fault = torment or fault  # the option's older name
    begin = time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begin:6.1f} s] {what}\n")

    entry = CATALOGUE[fault]
    folder = Path(tempfile.mkdtemp(prefix="voltick-proof-"))
    plan = Plan(
        seed,
        kills if fault is Faults.kills else 0,
        partitions,
        ticks,
        rate_hz=rate,
        oracle_rows=oracle_rows,
        feeder=feeder or entry.feeder,
        broker_loses_input=entry.broker_loses_input,
        settings={
            "VOLTICK_TRANSACTION_TIMEOUT_MS": str(
                transaction_timeout or entry.transaction_timeout_ms
            ),
            "VOLTICK_ASSIGNMENT": "group" if entry.group else "all",
            "VOLTICK_GROUP_PROTOCOL": protocol.value,
            **({"VOLTICK_STANDBY": "true"} if standby else {}),
        },
        events=events,
        workers=workers,
        named=named,
    )
    with _broker(broker, folder, entry, nodes, seed) as server:
        say(f"seed {seed}: {fault} on {server.kind}; output of every incarnation in {folder}")
        try:
            result = prove(server, plan, folder, say, entry.fault)
        except (AssertionError, TimeoutError, RuntimeError) as broken:
            say(str(broken))
            _finish(fault, {"seed": seed, "broken": str(broken).partition("\n")[0]}, failed=True)
        failed = result.failed(keeps_guarantees=server.keeps_guarantees)
    for accident in result.accidents:
        say(accident)
    for defect in first_of_each(result.defects):
        say(str(defect))
    _finish(fault, result.line(), failed=failed)


def _finish(fault: str, line: dict[str, object], *, failed: bool) -> NoReturn:
    sys.stdout.write(json.dumps({"fault": fault, **line}) + "\n")
    raise typer.Exit(1 if failed else 0)


def _broker(kind: Kind, folder: Path, entry: Entry, nodes: int, seed: int) -> Broker:
    if kind is Kind.EMBEDDED:
        return EmbeddedBroker(folder / "broker")
    require_apache()
    data = folder / "broker"
    data.mkdir()
    server = entry.make_broker(data, max(nodes, entry.nodes), seed)
    server.start_limit_s = _START_LIMIT_S
    return server


if __name__ == "__main__":
    app()
