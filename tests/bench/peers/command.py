"""From the command line's options to what it prints and writes."""

from pathlib import Path
from typing import Any

import typer

from tests.bench.peers.catalogue import PEERS
from tests.bench.peers.environments import default_cache
from tests.bench.peers.ledger import Done, Ledger
from tests.bench.peers.plot import draw
from tests.bench.peers.run import Plan, run
from tests.bench.peers.table import report
from tests.support.docs import TESTS, with_section

PICTURE = Path(__file__).with_name("peers.png")
SECTION = "peers"
QUICK = {
    "rounds": 1,
    "seconds": 4.0,
    "broker_warm_s": 5.0,
    "ticks": 200_000,
    "rates_hz": (100.0, 1_000.0),
}


def compare(
    *,
    peers: list[str] | None,
    rounds: int,
    seconds: float,
    measures: list[str] | None,
    quick: bool,
    ledger: Path | None,
    minutes: float | None,
    cache: Path | None,
    tuning: str,
    write: bool,
) -> dict[str, Any]:
    """Take the turns that are left and return everything as one JSON-able object.

    Raises
    ------
    BadParameter
        There is no such peer or measure.
    """
    asked: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "tuning": tuning}
    if quick:
        asked.update(QUICK)
    for name, given, known in (
        ("peers", peers, set(PEERS)),
        ("measures", measures, set(Plan.measures)),
    ):
        unknown = set(given or ()) - known
        if unknown:
            message = f"no such {name}: {', '.join(sorted(unknown))}; known: {sorted(known)}"
            raise typer.BadParameter(message)
        if given:
            asked[name] = tuple(dict.fromkeys(given))
    if minutes is not None:
        asked["minutes"] = minutes
    kept = Ledger(ledger)
    complete = run(Plan(**asked), kept, cache or default_cache())
    if write:
        draw(kept, PICTURE)
        shown = f"![Rates and latencies]({PICTURE.relative_to(TESTS.parent)})"
        text = TESTS.read_text("utf-8")
        TESTS.write_text(with_section(TESTS, text, SECTION, f"{report(kept)}\n\n{shown}"), "utf-8")
    return {"bench": "peers", "complete": complete, "turns": [_json(done) for done in kept]}


def _json(done: Done) -> dict[str, Any]:
    return {name: getattr(done, name) for name in done.__struct_fields__}
