"""Apache Kafka's jars are fetched once, and a Maven that cannot is a reason to skip."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kafka import jars
from tests.support.kafka.jars import JarsUnavailableError, classpath_of_run


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A path with ``java`` and ``mvn`` of the test's own, beside an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "java", "exit 0")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VOLTICK_TEST_CACHE", str(tmp_path / "cache"))
    for asked_once in (jars.java, jars.kafka_classpath):
        asked_once.cache_clear()
    yield folder
    for asked_once in (jars.java, jars.kafka_classpath):
        asked_once.cache_clear()


def program(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


def test_a_maven_that_hangs_is_waited_for_once_in_a_run(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "FETCH_LIMIT_S", 0.5)
    program(tools / "mvn", f"echo started >> {tmp_path}/starts\nsleep 600")
    for _ in range(2):
        with pytest.raises(JarsUnavailableError, match=r"did not fetch .* within 0\.5 s"):
            classpath_of_run(tmp_path)
    assert (tmp_path / "starts").read_text() == "started\n"
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_maven_says_is_the_reason(tools: Path, tmp_path: Path) -> None:
    program(tools / "mvn", "echo no route to the repository; exit 1")
    with pytest.raises(JarsUnavailableError, match="no route to the repository"):
        classpath_of_run(tmp_path)


def test_what_was_fetched_serves_the_whole_run(tools: Path, tmp_path: Path) -> None:
    program(tools / "mvn", 'for last; do :; done; mkdir "${last#-DoutputDirectory=}"')
    first = classpath_of_run(tmp_path)
    jars.kafka_classpath.cache_clear()
    program(tools / "mvn", "exit 1")
    assert classpath_of_run(tmp_path) == first
    assert Path(first).parent.is_dir()
