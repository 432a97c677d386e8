"""What our own code must never do, found by reading it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.support.processes import ROOT

PACKAGES = ("flows", "serving", "training", "schemas")
# Whoever can write what these read can run code here.
CODE_LOADERS = {
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "marshal",
    "pickle",
    "shelve",
    "torch",
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    ("yaml", "load"),
    ("yaml", "load_all"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
    ("tempfile", "mktemp"),
    ("pd", "read_pickle"),
    ("pandas", "read_pickle"),
    ("ssl", "_create_unverified_context"),
    ("ssl", "CERT_NONE"),
}
PICKLERS = {"to_pickle", "read_pickle"}
# Keyword arguments and the values they may have.
KEYWORDS = {"allow_pickle": False, "shell": False, "verify": True, "check_hostname": True}


def dangers(text: str) -> Iterator[str]:
    """Yield what a module's text has of these, with its line."""
    for node in ast.walk(ast.parse(text)):
        found = _danger(node)
        if found:
            yield f"{found} in line {getattr(node, 'lineno', 0)}"


def _danger(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        return next((n.name for n in node.names if n.name.split(".")[0] in CODE_LOADERS), None)
    if isinstance(node, ast.ImportFrom):
        base = (node.module or "").split(".")[0]
        named = {name.name for name in node.names}
        if base in CODE_LOADERS:
            return base
        return next((f"{b}.{m}" for b, m in METHODS if b == base and m in named), None)
    if isinstance(node, ast.Name) and node.id in BUILTINS:
        return node.id
    if isinstance(node, ast.Attribute):
        base = node.value.id if isinstance(node.value, ast.Name) else ""
        if (base, node.attr) in METHODS or node.attr in PICKLERS:
            return f"{base}.{node.attr}"
    if isinstance(node, ast.Call):
        return _call(node)
    return None


def _call(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg in KEYWORDS:
            wanted = KEYWORDS[keyword.arg]
            if not isinstance(keyword.value, ast.Constant) or keyword.value.value is not wanted:
                return f"{keyword.arg}="
    named = call.args[0] if call.args else None
    if isinstance(call.func, ast.Attribute) and call.func.attr == "import_module":
        given = named.value if isinstance(named, ast.Constant) else None
        if not isinstance(given, str) or given.split(".")[0] in CODE_LOADERS:
            return "import_module of something unknown"
    return None


def modules() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.externals as j",
        "from pickle import loads",
        "from dill import *",
        "def f():\n    import cloudpickle",
        "eval('1')",
        "run = exec",
        "yaml.load(text)",
        "from yaml import unsafe_load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "subprocess.run(line, shell=True)",
        "frame.to_pickle(path)",
        "os.system('ls')",
        "httpx.get(url, verify=False)",
        "importlib.import_module(name)",
        "importlib.import_module('pickle')",
        "context.verify_mode = ssl.CERT_NONE",
    ],
)
def test_dangers_are_found(code: str) -> None:
    assert list(dangers(code))


def test_harmless_code_is_not_blamed() -> None:
    text = "import json\nre.compile('x')\nnp.load(p, allow_pickle=False)\nyaml.safe_load(t)\n"
    assert list(dangers(text)) == []


def test_our_code_reads_nothing_that_could_run() -> None:
    read = modules()
    assert len(read) > 80
    found = [f"{path}: {each}" for path in read for each in dangers(path.read_text("utf-8"))]
    assert found == []


def test_servers_listen_on_loopback_by_default() -> None:
    assert Settings().api_host == "127.0.0.1"
    everywhere = ("0.0.0.0", '"::"')  # noqa: S104
    named = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in modules()
        for line in path.read_text("utf-8").splitlines()
        if any(each in line for each in everywhere)
    ]
    # They ask on loopback where an operator has opened a server to all, or speak of addresses.
    harmless = (
        "flows/local/launcher.py: host = ",
        "flows/overview/look.py: host = ",
        "serving/monitoring/feeds.py: _EVERYWHERE = ",
        "flows/settings/addresses.py: message = ",
        "flows/settings/metrics.py: description=",
    )
    assert [line for line in named if not line.startswith(harmless)] == []
    assert Settings().metrics_host == "127.0.0.1"
