"""The lock pins what the project asks for, exactly, and names no host."""

import re
import tomllib

from tests.support.docs import ROOT

PIN = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines() -> list[str]:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_every_line_is_one_exact_version() -> None:
    assert [line for line in _lines() if not PIN.fullmatch(line)] == []


def test_all_dependencies_of_the_project_are_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {_normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in wanted}
    assert names - {_normal(line.split("==")[0]) for line in _lines()} == set()
