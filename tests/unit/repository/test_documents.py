"""Every setting, metric, topic and command is documented, once, and as the code has it."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from flows.settings import Settings, load_settings, variables
from schemas import topics
from serving.app import create_app
from tests.support import docs
from tests.support.api import DEAD_REDIS

PRIVATE = {
    "flows.host.reaper",  # started by the launcher alone
    "flows.host.parent_death",
    "training.data_quality.evidently_report",  # runs in Evidently's environment
    "tests.bench.api_load",  # started by the api benchmark
    "tests.bench.bare",  # a contestant of the throughput benchmark, as the next one is
    "tests.bench.passthrough",
    "tests.support.api",
    "tests.support.docs",
    # contestants of the comparison with other stream processors
    *(
        f"tests.bench.peers.engines.{path.stem}"
        for path in (docs.ROOT / "tests/bench/peers/engines").glob("*.py")
    ),
}


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    return {_name(path): path.read_text("utf-8") for path in docs.DOCUMENTS}


def _name(path: Path) -> str:
    return str(path.relative_to(docs.ROOT))


def test_every_document_of_the_repository_is_checked_here() -> None:
    rooms = ("flows", "serving", "training", "schemas", "tests", "docker", ".github")
    found = {path for room in rooms for path in (docs.ROOT / room).rglob("*.md")}
    assert found | {docs.README} == set(docs.DOCUMENTS)


def test_the_first_page_is_short() -> None:
    assert len(docs.README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("path", docs.DOCUMENTS, ids=_name)
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    targets = [link for link in LINK.findall(path.read_text("utf-8")) if "://" not in link]
    assert [link for link in targets if not (path.parent / link).exists()] == []


def test_the_first_page_leads_to_every_document() -> None:
    linked = {(docs.ROOT / link).resolve() for link in LINK.findall(docs.README.read_text("utf-8"))}
    assert set(docs.DOCUMENTS) - {docs.README} <= linked


@pytest.mark.parametrize("table", docs.TABLES)
def test_a_generated_table_is_what_the_code_says(table: str) -> None:
    assert docs.marked(table) == docs.TABLES[table].make(), "python -m tests.support.docs --write"


def test_env_example_is_what_the_code_generates() -> None:
    written = docs.ENV_EXAMPLE.read_text("utf-8")
    assert written == docs.env_example(), "python -m tests.support.docs --write"


def test_env_example_uncommented_loads_as_the_defaults() -> None:
    lines = [line.removeprefix("#") for line in docs.env_example().splitlines()]
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(" "))
    assert set(pairs) == set(variables().values())
    assert load_settings(pairs) == Settings()


def dataflows() -> set[str]:
    """Return the modules that the engine runs."""
    return {
        f"flows.{path.stem}"
        for path in (docs.ROOT / "flows").glob("*.py")
        if re.search(r"^def flow\(\) -> Dataflow:", path.read_text("utf-8"), re.MULTILINE)
    }


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


def test_every_command_is_documented_and_every_one_documented_exists(
    documents: dict[str, str],
) -> None:
    text = "\n".join(documents.values())
    named = set(re.findall(r"python -m ((?:flows|serving|training|schemas|tests)(?:\.\w+)*)", text))
    flows = set(re.findall(r"python -m bytewax\.run (flows\.\w+)", text))
    assert named - PRIVATE == _commands() - dataflows()
    assert flows == dataflows()


@pytest.mark.parametrize("name", sorted(dataflows()))
def test_a_dataflow_that_is_run_by_itself_names_the_engines_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__")
    assert ended.value.code == 2
    assert f"python -m bytewax.run {name}\n" in capfd.readouterr().err


def test_every_topic_has_its_row(documents: dict[str, str]) -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \|.*\|.*\|$", documents["flows/README.md"], re.MULTILINE)
    assert sorted(rows) == sorted([*topics.ALL, topics.REDRIVEN])


def test_every_call_of_the_api_has_its_row(documents: dict[str, str], tmp_path: Path) -> None:
    app = create_app(Settings(redis_url=DEAD_REDIS, model_store=tmp_path))
    described = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    rows = re.findall(
        r"^\| `([A-Z]+ /[^`?]*)[^`]*` \|", documents["serving/README.md"], re.MULTILINE
    )
    assert sorted(rows) == sorted(described)
