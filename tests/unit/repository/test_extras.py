"""Extras are installed from the checkout: on an index somebody else could take the name."""

import re
import tomllib

import pytest

from tests.support import docs

PROJECT = tomllib.loads((docs.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BY_NAME = re.compile(rf"""pip install[^\n]*[\s'"]{PROJECT["name"]}(?:\[|[\s'"]|$)""", re.MULTILINE)
NEEDED = re.compile(r"needs_extra\([^()]*, \"([a-z0-9]+)\"\)")


def texts() -> dict[str, str]:
    """Return every document, and every module of the product, by its path."""
    modules = [
        path
        for room in ("flows", "serving", "training")
        for path in (docs.ROOT / room).rglob("*.py")
    ]
    return {
        str(path.relative_to(docs.ROOT)): path.read_text("utf-8")
        for path in [*docs.DOCUMENTS, *modules]
    }


def test_nothing_is_installed_from_an_index_by_our_name() -> None:
    assert [path for path, text in texts().items() if BY_NAME.search(text)] == []


@pytest.mark.parametrize("line", ["pip install 'voltick[s3]'", "pip install voltick"])
def test_a_line_that_would_is_found(line: str) -> None:
    assert BY_NAME.search(line)


def test_an_error_names_extras_that_there_are() -> None:
    named = {extra for text in texts().values() for extra in NEEDED.findall(text)}
    assert named
    assert named <= PROJECT["optional-dependencies"].keys()
