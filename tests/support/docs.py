"""Generated documentation: the README's tables of settings and metrics, and ``.env.example``.

``python -m tests.support.docs`` says what is out of date; with ``--write`` it writes it.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic.fields import FieldInfo

from flows.monitoring.metrics import PipelineMetrics
from flows.monitoring.quality_metrics import QualityMetrics
from flows.settings import Settings, variables
from serving.monitoring.metrics import ApiMetrics

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
ENV_EXAMPLE = ROOT / ".env.example"


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
        "outcomes": QualityMetrics().registry,
        "API": ApiMetrics().registry,
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


TABLES: Mapping[str, Callable[[], str]] = {"settings": settings_table, "metrics": metrics_table}


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


def marked(text: str, name: str) -> str:
    """Return what stands between a table's markers in the README."""
    begin, end = _markers(name)
    _, found, rest = text.partition(begin)
    inside, ended, _ = rest.partition(end)
    if not found or not ended:
        message = f"README.md has no {begin} ... {end}"
        raise ValueError(message)
    return inside.strip()


def with_tables(text: str) -> str:
    """Return the README's text with every generated table renewed."""
    for name, table in TABLES.items():
        begin, end = _markers(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table()}\n{end}{after}"
    return text


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def main(arguments: list[str] | None = None) -> int:
    """Compare or write; 1 if something was out of date and not written."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what is out of date")
    write = parser.parse_args(arguments).write
    wanted = {
        README: with_tables(README.read_text("utf-8")),
        ENV_EXAMPLE: env_example(),
    }
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    for path in stale:
        if write:
            path.write_text(wanted[path], "utf-8")
        sys.stdout.write(f"{path.name}: {'written' if write else 'out of date'}\n")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
