"""Features for Feast, from the archive and over Redis: ``python -m training.feast``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import logs
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.numeric.time import NS_PER_S
from flows.settings import Settings, load_settings
from schemas.features import FEATURE_SET
from training.console import command, say
from training.data.sources import parse_time
from training.feature_store import definitions, environment
from training.feature_store.data import export_rows

Repository = Annotated[
    Path, typer.Option(callback=on_this_machine, help="Folder of the Feast repository.")
]
Environment = Annotated[
    Path, typer.Option(callback=on_this_machine, help="Virtual environment that holds Feast.")
]

REPOSITORY = Path(".voltick/feast/repository")
ENVIRONMENT = Path(".voltick/feast/environment")

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog="Example: python -m training.feast generate --from ticks",
)


@app.command(epilog="Example: python -m training.feast install")
def install(into: Environment = ENVIRONMENT) -> None:
    """Make a virtual environment with Feast, which wants older packages than the rest."""
    environment.install(into)


@app.command(epilog="Example: python -m training.feast generate --from ticks")
def generate(
    source: Annotated[
        str, typer.Option("--from", help="Archive: a folder, or s3://BUCKET/PREFIX.")
    ],
    repository: Repository = REPOSITORY,
) -> None:
    """Write the repository: definitions from the contract, rows from the archive."""
    _settings()
    repository.mkdir(parents=True, exist_ok=True)
    exported = export_rows(source, repository / definitions.DATA)
    if exported is None:
        message = (
            f"{source} holds no row of FEATURE_SET {FEATURE_SET} on ticks.features; the pipeline"
            " writes them with VOLTICK_PUBLISH_FEATURES"
        )
        raise TrainingError(message)
    (repository / "features.py").write_text(definitions.definitions(), encoding="utf-8")
    (repository / "feature_store.yaml").write_text(definitions.store_file(), encoding="utf-8")
    say(msgspec.json.encode({"repository": str(repository), "rows": exported.rows}).decode())


@app.command(epilog="Example: python -m training.feast apply")
def apply(repository: Repository = REPOSITORY, using: Environment = ENVIRONMENT) -> None:
    """Register entities, feature view and service."""
    settings = _settings()
    environment.run(environment.find(using), repository, ["apply"], settings.redis_url)


@app.command(epilog="Example: python -m training.feast materialize --since 2026-01-05T14:30")
def materialize(
    repository: Repository = REPOSITORY,
    using: Environment = ENVIRONMENT,
    since: Annotated[str | None, typer.Option(help="From this ISO time on; a day.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this ISO time; now.")] = None,
) -> None:
    """Put the newest row of each market into Redis, for online features."""
    settings = _settings()
    end = datetime.now(UTC) if until is None else _moment(until)
    start = end - timedelta(days=1) if since is None else _moment(since)
    arguments = ["materialize", *(f"{each:%Y-%m-%dT%H:%M:%S}" for each in (start, end))]
    environment.run(environment.find(using), repository, arguments, settings.redis_url)


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(parse_time(text) // NS_PER_S, UTC)


def _settings() -> Settings:
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    return settings


if __name__ == "__main__":
    command(app)
