"""A number that a command takes has a least and a largest value."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[3]


def apps() -> dict[str, typer.Typer]:
    """Return the command lines of the product by module."""
    files = [file for room in ("flows", "training") for file in (ROOT / room).rglob("*.py")]
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(files)
        if "\napp = typer.Typer(" in file.read_text("utf-8")
    ]
    return {name: importlib.import_module(name).app for name in names}


def numbers(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the numeric parameters of a command that have a bound, and of those below it."""
    for inner in getattr(command, "commands", {}).values():
        yield from numbers(inner, f"{name} {inner.name}")
    for parameter in command.params:
        least, largest = getattr(parameter, "min", None), getattr(parameter, "max", None)
        if (least, largest) != (None, None):
            yield f"{name} {parameter.opts[0]}", (least, largest)


def test_whatever_has_a_least_value_has_a_largest() -> None:
    """Beyond some size a number is no error of the data but one of arithmetic: a traceback."""
    found = dict(pair for name, app in apps().items() for pair in numbers(get_command(app), name))
    open_ended = [name for name, bounds in found.items() if None in bounds]
    assert len(found) > 15
    assert open_ended == []


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("training.retrain", ["--from", "x", "--row-every-s", "inf"]),
        ("training.retrain", ["--from", "x", "--row-every-s", "1e12"]),
        ("training.retrain", ["--from", "x", "--seed", "4294967296"]),
        ("training.candles", ["--from", "x", "--seed", "99999999999999999"]),
        ("flows.store.cli", ["merge", "--archive", "x", "--settled-days", "99999999999999"]),
    ],
    ids=["infinite", "rows-apart", "seed", "seed-of-bars", "days"],
)
def test_a_number_out_of_range_is_refused_by_name(module: str, arguments: list[str]) -> None:
    said = CliRunner().invoke(apps()[module], arguments)
    assert said.exit_code == 2
    assert "Invalid value for" in said.output
    assert arguments[-2] in said.output
