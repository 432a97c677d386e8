"""Generated documentation: the tables of settings and metrics, and ``.env.example``.

``python -m tests.support.docs`` says what is out of date; with ``--write`` it writes it.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic.fields import FieldInfo

from flows.monitoring.alert_metrics import AlertMetrics
from flows.monitoring.archive_metrics import ArchiveMetrics
from flows.monitoring.candle_metrics import CandleMetrics
from flows.monitoring.ingest_metrics import IngestMetrics
from flows.monitoring.metrics import PipelineMetrics
from flows.monitoring.quality_metrics import QualityMetrics
from flows.settings import Settings, variables
from serving.monitoring.metrics import ApiMetrics
from training.experiments.trainer_metrics import TrainerMetrics

ROOT = Path(__file__).resolve().parents[2]
ENV_EXAMPLE = ROOT / ".env.example"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
FLOWS = ROOT / "flows" / "README.md"
FEEDS = ROOT / "flows" / "feeds" / "README.md"
TRAINING = ROOT / "training" / "README.md"
SERVING = ROOT / "serving" / "README.md"
TESTS = ROOT / "tests" / "README.md"
DOCKER = ROOT / "docker" / "README.md"
RUNBOOK = ROOT / "docker" / "RUNBOOK.md"
GUIDES = (
    ROOT / "flows" / "feeds" / "VENUE.md",
    ROOT / "flows" / "features" / "README.md",
    ROOT / "flows" / "targets" / "README.md",
    ROOT / "training" / "estimators" / "README.md",
)
DOCUMENTS = (README, CONTRIBUTING, FLOWS, FEEDS, TRAINING, SERVING, TESTS, DOCKER, RUNBOOK, *GUIDES)


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_table() -> str:
    """Return the settings as a Markdown table: variable, default, meaning."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, variable in variables().items():
        info = Settings.model_fields[name]
        default = _default(info)
        shown = f"`{default}`" if default else "unset"
        meaning = str(info.description).replace("|", "\\|")
        lines.append(f"| `{variable}` | {shown} | {meaning} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """Return our metrics as a Markdown table: name, kind, process, meaning."""
    registries = {
        "pipeline": PipelineMetrics().registry,
        "ingest": IngestMetrics().registry,
        "outcomes": QualityMetrics().registry,
        "candles": CandleMetrics().registry,
        "archive": ArchiveMetrics().registry,
        "API": ApiMetrics().registry,
        "alerts": AlertMetrics().registry,
        "trainer": TrainerMetrics().registry,
    }
    lines = ["| Metric | Kind | Of | Meaning |", "|---|---|---|---|"]
    for process, registry in registries.items():
        for name, kind, meaning in _metrics(registry):
            lines.append(f"| `{name}` | {kind} | {process} | {meaning} |")
    return "\n".join(lines)


def _metrics(registry: CollectorRegistry) -> Iterator[tuple[str, str, str]]:
    for metric in registry.collect():
        if metric.name.startswith("voltick_"):
            suffix = "_total" if metric.type == "counter" else ""
            yield metric.name + suffix, metric.type, metric.documentation


@dataclass(frozen=True)
class Table:
    """A generated table: the document that holds it between its markers, and its maker."""

    document: Path
    make: Callable[[], str]


TABLES: Mapping[str, Table] = {
    "settings": Table(FLOWS, settings_table),
    "metrics": Table(FLOWS, metrics_table),
}


def env_example() -> str:
    """Return ``.env.example``: every setting, commented out at its default."""
    blocks = ["# Copy to .env and change what you need; the environment wins over this file."]
    for name, variable in variables().items():
        info = Settings.model_fields[name]
        comment = textwrap.fill(
            str(info.description).replace("`", ""), 98, initial_indent="# ", subsequent_indent="# "
        )
        blocks.append(f"{comment}\n#{variable}={_default(info)}")
    return "\n\n".join(blocks) + "\n"


def marked(name: str) -> str:
    """Return what stands between a table's markers in its document."""
    document = TABLES[name].document
    _before, inside, _after = _cut(document, document.read_text("utf-8"), name)
    return inside.strip()


def with_tables(document: Path) -> str:
    """Return a document's text with each of its generated tables renewed."""
    text = document.read_text("utf-8")
    for name, table in TABLES.items():
        if table.document == document:
            text = with_section(document, text, name, table.make())
    return text


def with_section(document: Path, text: str, name: str, content: str) -> str:
    """Return a document's text with what stands between these markers replaced."""
    before, _inside, after = _cut(document, text, name)
    return f"{before}\n{content}\n{after}"


def _cut(document: Path, text: str, name: str) -> tuple[str, str, str]:
    """Return what stands before, between and after a table's markers, with the markers outside."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = text.partition(begin)
    inside, ended, after = rest.partition(end)
    if not found or not ended:
        message = f"{document.relative_to(ROOT)} has no {begin} ... {end}"
        raise ValueError(message)
    return before + begin, inside, end + after


def main(arguments: list[str] | None = None) -> int:
    """Compare or write; 1 if something was out of date and not written."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.docs",
        description=__doc__,
        epilog="Example: python -m tests.support.docs --write",
    )
    parser.add_argument("--write", action="store_true", help="write what is out of date")
    write = parser.parse_args(arguments).write
    wanted = {table.document: with_tables(table.document) for table in TABLES.values()}
    wanted[ENV_EXAMPLE] = env_example()
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    for path in stale:
        if write:
            path.write_text(wanted[path], "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'written' if write else 'out of date'}\n")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
