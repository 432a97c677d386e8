"""``python -m tests.proof.candles``: kills of ``flows.candles``, every candle once."""

from typing import Annotated

import typer

from tests.proof.kill_command import prove
from tests.proof.restarts import survive
from tests.support.candle_log import CandleLog

EXAMPLE = "Example: python -m tests.proof.candles --seed 7 --kills 30"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    seed: Annotated[int, typer.Option(help="Of the kills.")] = 1,
    kills: Annotated[int, typer.Option(min=0, help="How many SIGKILLs.")] = 30,
) -> None:
    """Kill flows.candles under load on Apache Kafka; hold every candle against the oracle's.

    Ends with one JSON line; exit code 1 where a candle is missing, twice, different, out of order
    or in another partition than its ticks.
    """
    prove(
        "candles",
        CandleLog,
        lambda flow, say: survive(flow, kills=kills, seed=seed, say=say),
        {"seed": seed, "kills": kills},
    )


if __name__ == "__main__":
    app()
