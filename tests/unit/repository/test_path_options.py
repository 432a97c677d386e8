"""Every command's options that name a path refuse an address."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from tests.support import docs

PROGRAMS = ("flows", "training")


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions behind all command lines, each with its module's name."""
    for room in PROGRAMS:
        for path in sorted((docs.ROOT / room).rglob("*.py")):
            if "= typer.Typer(" not in path.read_text("utf-8"):
                continue
            module = ".".join(path.relative_to(docs.ROOT).with_suffix("").parts)
            app: typer.Typer = importlib.import_module(module).app
            for command in (app.registered_callback, *app.registered_commands):
                if command is not None and command.callback is not None:
                    yield module, command.callback


def path_options() -> dict[str, Any]:
    """Return what is declared of each option or argument that takes a path."""
    found = {}
    for module, function in commands():
        for name, hint in get_type_hints(function, include_extras=True).items():
            kind, *declared = get_args(hint) or (hint,)
            if Path in (kind, *get_args(kind)):
                found[f"{module} {function.__name__} {name}"] = declared[0]
    return found


def test_an_address_is_refused_by_each() -> None:
    options = path_options()
    careless = [name for name, declared in options.items() if declared.callback is None]
    assert careless == []
    for declared in options.values():
        with pytest.raises(typer.BadParameter, match="is an address"):
            declared.callback(Path("s3://bucket/prefix"))
    # Of a group, of its command, and an argument.
    expected = {
        "training.drift drift out",
        "training.drift train_test out",
        "flows.redrive put file",
    }
    assert expected <= options.keys()
