"""One source in two forms, and what is kept of the compiled one."""

import ast
import errno
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import structlog
from numba.core.caching import IndexDataCacheFile

from flows.features.kernel import feature_kernel
from flows.numeric.cache import is_surely_absent
from flows.numeric.compiled import fingerprint
from flows.targets.realize import label_kernel
from tests.support.processes import run
from tests.unit.numeric.toy import Columns, add, doubled, toy_kernel

pytestmark = pytest.mark.usefixtures("cache_folder")


def result(run_it, values, divisor):
    columns = Columns(np.array(values), np.zeros(1))
    assert run_it(columns, divisor) == len(values)
    return columns.result[0]


def test_both_forms_give_the_same():
    kernel = toy_kernel()
    for form in (kernel.uncompiled, kernel.compile()):
        assert result(form, [1.0, 2.5], 2) == 3.5
        assert math.isnan(result(form, [1.0], 0))


def test_what_a_kernel_calls_may_be_called_from_python():
    toy_kernel().compile()
    assert doubled(2.0) == 4.0


def test_only_what_is_compiled_is_loaded():
    assert toy_kernel().load() is None
    toy_kernel().compile()
    loaded = toy_kernel().load()
    assert loaded.stats.cache_hits
    assert not loaded.stats.cache_misses
    assert result(loaded, [1.0], 1) == 2.0


def test_what_only_compiling_needs_is_not_loaded_with_cached_code(tmp_path, cache_folder):
    toy_kernel().compile()
    code = (
        "from tests.unit.numeric.toy import toy_kernel; import sys;"
        "assert toy_kernel().load() is not None;"
        "assert not {'scipy.linalg', 'numba.np.arrayobj'} & {*sys.modules};"
        "from numba.core.runtime.nrt import rtsys; assert not hasattr(rtsys, '_library');"
        # It compiles all the same, arrays and products of them too.
        "import numba, numpy as np;"
        "product = numba.njit(lambda n: np.ones((n, n)) @ np.ones((n, n)));"
        "assert product(3).sum() == 27.0"
    )
    done = run(["-c", code], tmp_path, {"NUMBA_CACHE_DIR": str(cache_folder)})
    assert done.returncode == 0, done.stderr


def test_what_was_never_compiled_is_known_without_the_compiler(tmp_path):
    code = (
        "from tests.unit.numeric.toy import toy_kernel; import sys;"
        "kernel = toy_kernel();"
        "assert kernel.has_cache and kernel.load() is None;"
        "sys.exit('numba' in sys.modules)"
    )
    assert run(["-c", code], tmp_path, {"NUMBA_CACHE_DIR": str(tmp_path / "new")}).returncode == 0


def test_in_a_folder_that_is_not_written_to_numba_is_asked(cache_folder, monkeypatch):
    monkeypatch.setattr("flows.numeric.cache.os.access", lambda *_: False)
    assert not is_surely_absent(add)


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("content", [b"", b"\x80\x05garbage"], ids=["empty", "garbage"])
def test_a_damaged_cache_is_mended(cache_folder, pattern, content):
    toy_kernel().compile()
    (path,) = cache_folder.rglob(pattern)
    path.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert result(toy_kernel().compile(), [1.0], 1) == 2.0
    assert [log["log_level"] for log in logs] == ["warning"]
    assert "damaged" in logs[0]["event"]
    assert toy_kernel().load() is not None


def test_a_full_disk_keeps_nothing_from_running(monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    with structlog.testing.capture_logs() as logs:
        assert result(toy_kernel().compile(), [1.0], 1) == 2.0
    assert "could not be cached" in logs[0]["event"]


def test_a_changed_source_never_loads_old_code(tmp_path):
    module = ModuleType("helper")
    module.__file__ = str(tmp_path / "helper.py")
    (tmp_path / "helper.py").write_text("x = 1\n")
    before = fingerprint(module)
    (tmp_path / "helper.py").write_text("x = 2\n")
    assert fingerprint(module) != before


@pytest.mark.parametrize("kernel", [feature_kernel, label_kernel], ids=["features", "labels"])
def test_a_kernel_knows_all_its_sources(kernel):
    """A module left out would leave stale code in the cache when it changes."""
    modules = {module.__name__: module for module in kernel()._modules}
    # Only constants of its own are read.
    own = [module for name, module in modules.items() if name != "flows.codec.batch"]
    # Types alone, and what is part of every fingerprint.
    known = {*modules, "flows.numeric.arrays", "flows.numeric.compiled"}
    for module in own:
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(("flows", "schemas")):
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                types = node.module.endswith(".types") or node.module == "schemas.ticks"
                assert node.module in known or inner <= known or types, (module, node.module)


def test_importing_compiles_nothing_and_imports_no_compiler(tmp_path):
    code = (
        "import flows.pipeline, flows.outcomes, sys;"
        "from flows.features.kernel import feature_kernel;"
        "sys.exit(feature_kernel.cache_info().currsize or 'numba' in sys.modules)"
    )
    assert run(["-c", code], tmp_path, {}).returncode == 0
