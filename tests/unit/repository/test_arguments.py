"""What the documents write behind a command is what the command takes."""

import importlib
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.support import docs

_SPAN = re.compile(r"(?<!`)`(python -m [^`]+)`(?!`)")
_LINE = re.compile(r"^(?:[A-Z_]+=\S+ |uv run )*(python -m .+)$")


def told(path: Path) -> set[tuple[str, ...]]:
    """Return the words behind ``python -m`` of each command of a document that has arguments."""
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [line[1] for each in lines if (line := _LINE.match(each.strip()))]
    found += [span.replace("\n", " ") for span in _SPAN.findall(text)]
    # A shell's own words end a command.
    plain = (re.split(r" (?:[>|;&]|&&|\|\|)(?: |$)", each)[0] for each in found)
    words = (shlex.split(each, comments=True)[2:] for each in plain)
    return {
        tuple(each) for each in words if any(word.startswith("-") for word in each[1:]) or each[2:]
    }


@cache
def command_of(module: str) -> Any:
    """Return a module's command line; None where it has none of typer's."""
    for name in (module, f"{module}.cli"):
        try:
            found = getattr(importlib.import_module(name), "app", None)
        except ModuleNotFoundError:
            continue
        if isinstance(found, typer.Typer):
            return get_command(found)
    return None


def parse(command: Any, words: list[str]) -> None:
    """Read the words as the command would, without acting on them."""
    with command.make_context("told", words) as context:
        rest = [*context._protected_args, *context.args]
        if hasattr(command, "commands") and rest:
            _name, chosen, words = command.resolve_command(context, rest)
            chosen.make_context("told", words, parent=context)


def cases() -> list[tuple[str, tuple[str, ...]]]:
    return sorted(
        {(path.name, words) for path in docs.DOCUMENTS for words in told(path)},
        key=lambda case: (case[1], case[0]),
    )


def test_every_documented_command_is_taken_as_it_stands() -> None:
    wrong = []
    for document, (module, *words) in cases():
        command = command_of(module)
        if command is None:
            continue
        try:
            parse(command, words)
        except Exception as error:
            wrong.append(f"{document}: {module} {shlex.join(words)}: {error}")
    assert wrong == []


def test_most_commands_are_held_to_it() -> None:
    held = {words[0] for _document, words in cases() if command_of(words[0]) is not None}
    assert {"flows.local", "flows.redrive", "training.retrain", "training.models"} <= held


def test_a_wrong_argument_is_found() -> None:
    with pytest.raises(Exception, match="target"):
        parse(command_of("training.models"), ["rollback", "volatility_spike"])
