"""Where compiled code is kept, and that only its owner can have written it."""

import os
import tempfile
import threading

import pytest
import structlog
from numba.core.caching import CacheImpl, UserProvidedCacheLocator

from flows.numeric import cache, compiled
from flows.numeric.cache import exclusive, temporary_folder
from tests.unit.numeric.test_compiled import result
from tests.unit.numeric.toy import toy_kernel


@pytest.fixture
def nowhere(monkeypatch):
    """Leave numba no place of its own that it could write to."""
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setattr(CacheImpl, "_locator_classes", [UserProvidedCacheLocator])
    monkeypatch.setattr(compiled, "is_surely_absent", lambda _function: False)
    cache._say_uncached.cache_clear()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Have the system's temporary files in a folder of this test."""
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cache, "SHARED_MEMORY", tmp_path / "missing")
    return tmp_path


@pytest.mark.usefixtures("nowhere")
def test_without_a_place_the_temporary_folder_is_taken(temporary):
    assert result(toy_kernel().compile(), [1.0], 1) == 2.0
    assert list(temporary.rglob("*.nbc"))
    assert toy_kernel().load() is not None


def test_a_filled_cache_serves_where_nothing_can_be_written(tmp_path, monkeypatch):
    """As in an image with a read-only root; the tests may write anywhere, so numba is told not."""
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    toy_kernel().compile()
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(compiled, "is_surely_absent", lambda _function: False)
    monkeypatch.setattr(cache, "temporary_folder", lambda: None)
    with structlog.testing.capture_logs() as logs:
        loaded = toy_kernel().load()
    assert not logs
    assert result(loaded, [1.0], 1) == 2.0
    # Not another function's: that is compiled, and its loss is said.
    for index in tmp_path.rglob("*.nbi"):
        index.unlink()
    assert toy_kernel().load() is None


@pytest.mark.usefixtures("nowhere", "temporary")
def test_without_any_place_it_runs_and_says_so_once(monkeypatch):
    monkeypatch.setattr(cache, "temporary_folder", lambda: None)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            kernel = toy_kernel()
            assert kernel.load() is None
            assert kernel.cache_path is None
            assert result(kernel.compile(), [1.0], 1) == 2.0
            assert kernel.load() is not None
    assert [log["log_level"] for log in logs] == ["warning"]
    assert "NUMBA_CACHE_DIR" in logs[0]["event"]


def test_the_temporary_folder_is_closed_to_others(temporary):
    folder = temporary_folder()
    assert folder == temporary / f"voltick-cache-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert temporary_folder() == folder


def test_a_folder_that_others_may_write_to_is_not_taken(temporary):
    temporary_folder().chmod(0o770)
    assert temporary_folder() is None


def test_without_temporary_files_shared_memory_is_taken(temporary, monkeypatch):
    memory = temporary / "memory"
    memory.mkdir()
    memory.chmod(0o1777)
    monkeypatch.setattr(cache, "SHARED_MEMORY", memory)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    assert temporary_folder() == memory / f"voltick-cache-{os.geteuid()}"

    def refuse():
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    assert temporary_folder() == memory / f"voltick-cache-{os.geteuid()}"


@pytest.mark.usefixtures("temporary")
def test_a_folder_of_somebody_else_is_not_taken(monkeypatch):
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        (cache.Path(folder) / f"voltick-cache-{real + 1}").mkdir(mode=0o700)
        assert temporary_folder() is None


def test_a_link_is_not_taken(temporary, tmp_path_factory):
    (temporary / f"voltick-cache-{os.geteuid()}").symlink_to(tmp_path_factory.mktemp("theirs"))
    assert temporary_folder() is None


def test_a_file_in_its_place_is_no_folder(temporary):
    (temporary / f"voltick-cache-{os.geteuid()}").write_text("")
    assert temporary_folder() is None


def test_a_parent_in_which_others_could_replace_it_is_not_used(temporary):
    temporary.chmod(0o777)
    assert temporary_folder() is None


def test_no_temporary_files_at_all(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    assert temporary_folder() is None


def test_one_at_a_time_is_let_in(tmp_path):
    inside, waiting, order = threading.Event(), threading.Event(), []

    def second():
        inside.wait()
        waiting.set()
        with exclusive(tmp_path, "kernel"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with exclusive(tmp_path, "kernel"), exclusive(tmp_path, "other"):
        inside.set()
        waiting.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_without_a_folder_nobody_waits(tmp_path):
    with exclusive(None, "kernel"), exclusive(None, "kernel"):
        pass
    with exclusive(tmp_path / "missing", "kernel"):
        pass
