"""No module lets Arrow read from a Python object, which its threads may hold at the exit.

A thread of Arrow's pool that drops such an object while the interpreter ends aborts the process:
seldom, and mostly on a busy machine, so that no run of a program would show it. What
:mod:`flows.connectors.parquet.reading` opens is Arrow's own memory.
"""

import ast
from pathlib import Path

from tests.support.docs import ROOT

THE_ONE_PLACE = ROOT / "flows/connectors/parquet/reading.py"
PYTHON_OBJECTS = {"BytesIO", "BufferReader", "PythonFile", "py_buffer", "input_stream"}


def _handed(path: Path) -> set[str]:
    """Return which Python objects a module that knows Arrow makes into files for it."""
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    if not any(name.split(".")[0] == "pyarrow" for name in imported):
        return set()
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names & PYTHON_OBJECTS


def test_arrow_reads_paths_and_its_own_memory_alone() -> None:
    modules = [
        path
        for room in ("flows", "training", "serving")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != THE_ONE_PLACE
    ]
    found = {str(path.relative_to(ROOT)): sorted(_handed(path)) for path in modules}
    assert {name: handed for name, handed in found.items() if handed} == {}


def test_the_check_sees_what_it_looks_for() -> None:
    assert _handed(THE_ONE_PLACE) == {"BufferReader"}
