"""The lock pins what the project and its extras ask for on Linux, exactly, and names no host."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.support.docs import ROOT

PIN = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+")
LINUX = {"sys_platform": "linux", "platform_system": "Linux"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WANTED = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines() -> list[str]:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _pins() -> dict[str, str]:
    return {_normal(name): version for name, version in (line.split("==") for line in _lines())}


def test_every_line_is_one_exact_version() -> None:
    assert [line for line in _lines() if not PIN.fullmatch(line)] == []
    assert len(_pins()) == len(_lines())


@pytest.mark.parametrize("name", [".ci/run", ".github/CONTRIBUTING.md"])
def test_ci_and_those_who_change_the_code_install_every_extra(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(r"-e '\.\[(.*?)\]' -c requirements\.txt", text)
    assert found
    assert all(set(each.split(",")) == set(PROJECT["optional-dependencies"]) for each in found)


@pytest.mark.parametrize("extra", WANTED, ids=lambda extra: extra or "none")
def test_all_that_is_asked_for_is_locked_within_its_bounds(extra: str) -> None:
    pins = _pins()
    for asked in map(Requirement, WANTED[extra]):
        if asked.marker is None or asked.marker.evaluate(LINUX):
            assert _normal(asked.name) in pins
            assert asked.specifier.contains(pins[_normal(asked.name)]), str(asked)


def test_two_packages_with_the_same_files_are_not_both_locked() -> None:
    assert {"xgboost", "xgboost-cpu"} & set(_pins()) == {"xgboost-cpu"}
