"""The wheel holds every file that the product reads: templates, the page, its scripts."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

from tests.support.docs import ROOT

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
NOT_SHIPPED = {".py", ".md"}


def _is_shipped(path: Path) -> bool:
    for package, patterns in SETUPTOOLS["package-data"].items():
        folder = ROOT.joinpath(*package.split("."))
        if path.is_relative_to(folder):
            name = path.relative_to(folder).as_posix()
            if any(fnmatch(name, pattern) for pattern in patterns):
                return True
    return False


def test_every_data_file_of_a_package_is_shipped() -> None:
    files = [
        path
        for room in ("flows", "serving", "training", "schemas")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED and "__pycache__" not in path.parts
    ]
    assert files
    assert [str(path.relative_to(ROOT)) for path in files if not _is_shipped(path)] == []


def test_every_folder_with_code_is_a_package() -> None:
    folders = {
        path.parent
        for room in ("flows", "serving", "training", "schemas")
        for path in (ROOT / room).rglob("*.py")
    }
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
