"""Uncompiled at once, compiled as soon as that form is there."""

import subprocess
import sys
import threading

import pytest
import structlog

from flows.numeric import background
from flows.numeric.background import REBUILD_UNCOMPILED, ROOT, BackgroundKernel, compile_in_child
from flows.numeric.precompile import CHILD
from tests.support.polling import until
from tests.unit.numeric.test_compiled import result
from tests.unit.numeric.toy import broken_kernel, toy_kernel

pytestmark = pytest.mark.usefixtures("cache_folder")


class Gate:
    """Stands in for the child process, and holds the compiler back until it is opened."""

    def __init__(self, monkeypatch):
        self.opened = threading.Event()
        self.asked = []
        monkeypatch.setattr(background, "compile_in_child", self)

    def __call__(self, name):
        self.asked.append(name)
        self.opened.wait()


def test_runs_uncompiled_until_it_is_compiled(monkeypatch):
    gate = Gate(monkeypatch)
    kernel = toy_kernel()
    running = BackgroundKernel(kernel)
    assert not running.compiled
    assert running.current() is kernel.uncompiled
    assert result(running.current(), [1.0], 1) == 2.0
    gate.opened.set()
    running.wait()
    assert running.compiled
    assert running.current() is kernel.compile()
    assert result(running.current(), [1.0], 1) == 2.0


def test_the_compiler_is_given_back_once_its_code_is_there(monkeypatch):
    gate = Gate(monkeypatch)
    kernel = toy_kernel()
    given = []
    monkeypatch.setattr(
        background,
        "give_back_library",
        lambda name: given.append((name, kernel.load() is not None)),
    )
    running = BackgroundKernel(kernel)
    running.begin()
    until(lambda: gate.asked, "the child")
    assert given == []
    gate.opened.set()
    running.wait()
    assert given == [(background.COMPILER, True)]


def test_before_its_first_use_nothing_is_compiled(monkeypatch):
    gate = Gate(monkeypatch)
    monkeypatch.setattr(background, "AFTER_FIRST_S", 0.0)
    running = BackgroundKernel(toy_kernel())
    assert gate.asked == []  # the thread waits for a use, however long it takes to come
    running.current()
    until(lambda: gate.asked, "the child")
    gate.opened.set()
    running.wait()


def test_a_kernel_that_will_be_needed_is_compiled_before_its_first_use(monkeypatch):
    gate = Gate(monkeypatch)
    monkeypatch.setattr(background, "AFTER_FIRST_S", 600.0)
    running = BackgroundKernel(toy_kernel())
    running.begin()
    until(lambda: gate.asked, "the child")
    gate.opened.set()
    running.wait()
    assert running.compiled


def test_what_the_cache_holds_is_loaded_without_a_child(monkeypatch):
    toy_kernel().compile()
    gate = Gate(monkeypatch)
    running = BackgroundKernel(toy_kernel())
    running.wait()
    assert running.compiled
    assert not gate.asked


def test_a_child_fills_the_cache():
    kernel = toy_kernel()
    with structlog.testing.capture_logs() as logs:
        compile_in_child(kernel.name)
    assert logs == []
    assert kernel.load() is not None


def test_a_child_ends_in_peace_while_its_thread_waits_for_its_parents_end():
    program = (
        "import threading, time; from flows.numeric import precompile;"
        "threading.Thread(target=precompile._end_with_parent, daemon=True).start();"
        "time.sleep(0.1)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with child:
        assert child.wait() == 0, child.stderr.read()


def test_a_child_that_fails_is_replaced(monkeypatch):
    kernel = toy_kernel()
    kernel.name = "tests.unit.numeric.toy:missing"
    with structlog.testing.capture_logs() as logs:
        running = BackgroundKernel(kernel)
        running.wait()
    assert running.compiled
    assert "failed" in next(log for log in logs if log["log_level"] == "warning")["event"]


def test_without_a_cache_no_child_is_asked(monkeypatch):
    gate = Gate(monkeypatch)
    kernel = toy_kernel()
    monkeypatch.setattr(type(kernel), "has_cache", False)
    running = BackgroundKernel(kernel)
    running.wait()
    assert running.compiled
    assert not gate.asked


def test_what_cannot_be_compiled_is_raised_where_it_is_used(monkeypatch):
    Gate(monkeypatch).opened.set()
    running = BackgroundKernel(broken_kernel())
    running.wait()
    assert not running.compiled
    with pytest.raises(Exception, match="Failed in nopython mode"):
        running.current()


def test_a_long_rebuild_waits_for_the_compiled_form(monkeypatch):
    gate = Gate(monkeypatch)
    monkeypatch.setattr(background, "REBUILD_PATIENCE_S", 60.0)  # compiling may take its time
    running = BackgroundKernel(toy_kernel())
    running.rebuild(REBUILD_UNCOMPILED)
    assert not running.compiled
    threading.Timer(0.2, gate.opened.set).start()
    running.rebuild(1)
    assert running.compiled


def test_a_long_rebuild_goes_on_uncompiled_where_compiling_takes_long(monkeypatch):
    gate = Gate(monkeypatch)
    monkeypatch.setattr(background, "REBUILD_PATIENCE_S", 0.01)
    kernel = toy_kernel()
    running = BackgroundKernel(kernel)
    running.rebuild(REBUILD_UNCOMPILED + 1)
    running.rebuild(1)
    assert running.current() is kernel.uncompiled
    gate.opened.set()
    running.wait()
    assert running.current() is kernel.compile()


def test_a_child_ends_with_its_parent():
    command = [sys.executable, "-m", "flows.numeric.precompile", CHILD]
    name = "tests.unit.numeric.toy:endless_kernel"
    child = subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.stdin.close()
    assert child.wait(60) == 1


def test_kernels_are_compiled_on_demand():
    """As an image is built: the standard input is at its end from the start."""
    command = [sys.executable, "-m", "flows.numeric.precompile", toy_kernel().name]
    assert subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0
    assert toy_kernel().load() is not None


def test_what_can_be_done_otherwise_has_no_form_until_it_is_compiled(monkeypatch):
    gate = Gate(monkeypatch)
    kernel = toy_kernel()
    running = BackgroundKernel(kernel)
    assert running.compiled_form() is None
    gate.opened.set()
    running.wait()
    assert running.compiled_form() is kernel.compile()


def test_what_cannot_be_compiled_has_no_form(monkeypatch):
    Gate(monkeypatch).opened.set()
    running = BackgroundKernel(broken_kernel())
    running.wait()
    assert running.compiled_form() is None


def test_a_kernel_waits_for_the_one_that_is_needed_more(monkeypatch):
    gate = Gate(monkeypatch)
    first = BackgroundKernel(toy_kernel())
    second = BackgroundKernel(toy_kernel(), after=first)
    second.begin()
    until(lambda: gate.asked, "the first one's child")
    assert not second.compiled
    gate.opened.set()
    second.wait()
    assert first.compiled
