"""The options of ``python -m tests.proof``."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.proof import __main__ as command
from tests.proof.catalogue import CATALOGUE

COMMAND = typer.Typer()
COMMAND.command()(command.main)


class AskedFor(Exception):  # noqa: N818 - no error, it carries an answer out
    """Which entry of the catalogue a run would have begun with."""


@pytest.fixture(autouse=True)
def _nothing_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def begin(_kind: object, _folder: object, entry: object, *_: object) -> None:
        raise AskedFor(entry)

    monkeypatch.setattr(command, "_broker", begin)
    monkeypatch.setattr(command.tempfile, "mkdtemp", lambda prefix: str(tmp_path))


@pytest.mark.parametrize("option", ["--fault", "--torment"])
@pytest.mark.parametrize("name", ["kills", "zombie", "disk-full"])
def test_a_fault_is_chosen_by_its_name(option: str, name: str) -> None:
    error = CliRunner().invoke(COMMAND, [option, name]).exception
    assert isinstance(error, AskedFor)
    assert error.args == (CATALOGUE[name],)


def test_the_older_name_of_the_option_is_not_shown() -> None:
    shown = CliRunner().invoke(COMMAND, ["--help"]).output
    assert "--fault" in shown
    assert "--torment" not in shown


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(COMMAND, ["--fault", "nonsense"])
    assert done.exit_code == 2
    assert "disk-full" in done.output
