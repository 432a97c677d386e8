"""``python -m flows.topics``: create the topics that are missing; say what is there.

Every flow creates what it needs by itself. A deployment runs this before all of them, so that the
number of partitions is decided once, by one process, whichever flow starts first.
"""

import sys
import time
from typing import Annotated

import typer

from flows import logs
from flows.connectors.kafka.admin import ensure_topics
from flows.errors import BrokerError, ConfigurationError
from flows.host.command import run_command
from flows.settings import Settings, load_settings
from schemas import topics

_PAUSE_S = 1.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m flows.topics --wait 60")
def create(
    wait: Annotated[
        float,
        typer.Option(
            help="Seconds to wait for a broker that does not answer yet.", min=0.0, max=86_400.0
        ),
    ] = 0.0,
) -> None:
    """Create the topics that are missing, with VOLTICK_PARTITIONS and VOLTICK_REPLICATION_FACTOR.

    Topics that exist are left as they are, and missing ones get as many partitions as they have.
    """
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if settings.kafka_bootstrap_servers is None:
        message = "KAFKA_BOOTSTRAP_SERVERS is not set; an embedded broker's topics end with it"
        raise ConfigurationError(message)
    count = _created(settings, wait)
    sys.stdout.write("".join(f"{name}: {count} partitions\n" for name in topics.ALL))


def _created(settings: Settings, wait_s: float) -> int:
    """Create what is missing; ask again until the time to wait is over."""
    limit_s = time.monotonic() + wait_s
    while True:
        try:
            return ensure_topics(
                settings.kafka_config(),
                topics.ALL,
                settings.partitions,
                settings.replication_factor,
            )
        except BrokerError:
            if time.monotonic() + _PAUSE_S >= limit_s:
                raise
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    run_command(app)
