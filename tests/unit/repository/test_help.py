"""``--help`` of every command that the documents name shows an example, which fits the command."""

import contextlib
import re
import runpy
import sys

import pytest

from tests.support import docs

_MODULE = r"(?:flows|training|serving|schemas|tests)(?:\.[a-z_]+)*"
COMMAND = re.compile(rf"python -m ({_MODULE})(?: ([a-z][a-z-]+)\b)?")
# Where a word after the module names a command of its own, and not an argument.
GROUPS = (
    *("flows.redrive", "flows.store", "training.models", "training.feast", "training.drift"),
    "tests.bench",
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def documented() -> list[tuple[str, ...]]:
    """Return the words of each command, once."""
    found = set()
    for path in docs.DOCUMENTS:
        for module, word in COMMAND.findall(path.read_text("utf-8")):
            found.add((module,))
            if word and module in GROUPS:
                found.add((module, word))
    return sorted(found)


def help_of(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    module, *rest = words
    monkeypatch.setattr(sys, "argv", [module, *rest, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    return COLOUR.sub("", capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")
@pytest.mark.parametrize("words", documented(), ids=" ".join)
def test_help_shows_an_example(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(words, monkeypatch, capsys)
    usage, found, rest = " ".join(shown.split()).partition("Example: ")
    assert found, shown
    example = rest.rstrip("│╯ ")
    assert f"python -m {' '.join(words)}" in example
    for option in re.findall(r"(?<= )--[a-z-]+", example):
        if words[0] in GROUPS and len(words) == 1:
            continue  # of the command within the group, whose own help has it
        assert option in usage, f"{option} is no option of {' '.join(words)}"


def test_every_kind_of_command_is_found() -> None:
    commands = set(documented())
    assert {("flows.local",), ("serving",), ("training.retrain",), ("tests.proof",)} <= commands
    assert ("flows.redrive", "export") in commands
