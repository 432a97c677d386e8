"""Every setting, metric, topic and command is documented, once, and as the code has it."""

import re

import pytest

from flows.settings import Settings, load_settings, variables
from schemas import topics
from tests.support import docs

PRIVATE = {
    "flows.local.reaper",  # started by the launcher alone
    "flows.local.parent_death",
    "tests.bench.passthrough",  # a contestant of the throughput benchmark
    "tests.support.api",
    "tests.support.docs",
}


@pytest.fixture(scope="module")
def readme() -> str:
    return docs.README.read_text("utf-8")


@pytest.mark.parametrize("table", docs.TABLES)
def test_the_readme_has_the_table_of_the_code(readme: str, table: str) -> None:
    assert docs.marked(readme, table) == docs.TABLES[table](), (
        "python -m tests.support.docs --write"
    )


def test_env_example_is_what_the_code_generates() -> None:
    written = docs.ENV_EXAMPLE.read_text("utf-8")
    assert written == docs.env_example(), "python -m tests.support.docs --write"


def test_env_example_uncommented_loads_as_the_defaults() -> None:
    lines = [line.removeprefix("#") for line in docs.env_example().splitlines()]
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(" "))
    assert set(pairs) == set(variables().values())
    assert load_settings(pairs) == Settings()


def _commands() -> set[str]:
    """Return the modules that run as commands, as ``python -m`` takes them."""
    found = set()
    for room in ("flows", "serving", "training", "schemas", "tests"):
        for path in (docs.ROOT / room).rglob("*.py"):
            runs = path.name == "__main__.py" or re.search(
                r'^if __name__ == "__main__":', path.read_text("utf-8"), re.MULTILINE
            )
            if runs and "unit" not in path.parts:
                parts = path.relative_to(docs.ROOT).with_suffix("").parts
                found.add(".".join(parts).removesuffix(".__main__"))
    return found - PRIVATE


def test_every_command_is_in_the_readme_and_every_one_there_exists(readme: str) -> None:
    named = set(re.findall(r"python -m ((?:flows|serving|training|schemas|tests)[\w.]*)", readme))
    flows = set(re.findall(r"python -m bytewax\.run (flows\.\w+)", readme))
    assert named == _commands()
    assert flows == {
        f"flows.{path.stem}"
        for path in (docs.ROOT / "flows").glob("*.py")
        if re.search(r"^def flow\(\) -> Dataflow:", path.read_text("utf-8"), re.MULTILINE)
    }


def test_every_topic_has_its_row(readme: str) -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \|.*\|.*\|$", readme, re.MULTILINE)
    assert sorted(rows) == sorted([*topics.ALL, topics.REDRIVEN])
