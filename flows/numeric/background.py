"""Run a kernel at once, uncompiled, and compiled as soon as that form is there."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Generic

import structlog

from flows.host.memory import give_back_library
from flows.host.processes import start_in_own_session
from flows.numeric.compiled import Kernel, Run
from flows.numeric.precompile import CHILD

ROOT = Path(__file__).parents[2]

COMPILER = "libllvmlite"
"""The library that compiles: some 50 MB of it are read only to load what is compiled already."""

REBUILD_UNCOMPILED = 20_000
"""Rows of a rebuild, some seconds, after which the compiled form is waited for."""

REBUILD_PATIENCE_S = 1.0
"""How long each batch waits for it then: a flow that is to stop, or has other partitions, does not
wait until compiling is over."""

AFTER_FIRST_S = 0.5
"""How long after the first use the compiled form is looked for."""


class BackgroundKernel(Generic[Run]):
    """The faster of a kernel's two forms, as far as it is there.

    Where the cache lacks the compiled form, a child process of low priority compiles it, so that
    this process keeps its time for ticks; where there is no cache, a thread of this process does.
    Importing the compiler alone takes half a second: neither a start nor its first result waits for
    that, unless :meth:`begin` is called.

    Parameters
    ----------
    after
        Is compiled first: what is needed more, and no two at a time.
    """

    def __init__(self, kernel: Kernel[Run], after: "BackgroundKernel[Any] | None" = None) -> None:
        self._kernel = kernel
        self._after = after
        self._run = kernel.uncompiled
        self._rebuilt = 0
        self._error: Exception | None = None
        self._ready = threading.Event()
        self._used = threading.Event()
        self._wanted = threading.Event()
        threading.Thread(target=self._prepare, name="kernel", daemon=True).start()

    @property
    def compiled(self) -> bool:
        """Whether the compiled form is there."""
        return self._ready.is_set() and self._error is None

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: compiled, or known that it cannot be."""
        return self._ready.is_set()

    def current(self) -> Run:
        """Return the form to use now; the caller may change from one to the other at any call.

        Raises
        ------
        Exception
            Whatever kept the compiled form from being made.
        """
        self._used.set()
        if self._error is not None:
            raise self._error
        return self._run

    def compiled_form(self) -> Run | None:
        """Return the compiled form; None as long as it is not there, or cannot be made.

        For what the caller can do in another way.
        """
        self._used.set()
        return self._run if self.compiled else None

    def begin(self) -> None:
        """Look for the compiled form at once: there is much to do."""
        self._wanted.set()
        self._used.set()

    def rebuild(self, rows: int) -> None:
        """Take note of rows of a rebuild; from many on, wait a while for the compiled form.

        Nothing is emitted meanwhile, so that nobody gains much from the uncompiled form, and
        without it the compiler has the machine for itself.
        """
        self._rebuilt += rows
        if self._rebuilt > REBUILD_UNCOMPILED:
            self.begin()
            self._ready.wait(REBUILD_PATIENCE_S)

    def wait(self) -> None:
        """Wait until the compiled form is there, or until it is known that it cannot be."""
        self.begin()
        self._ready.wait()

    def _prepare(self) -> None:
        self._used.wait()
        self._wanted.wait(AFTER_FIRST_S)
        if self._after is not None:
            self._after.wait()
        try:
            run = self._kernel.load()
            if run is None:
                log = structlog.get_logger()
                log.info(
                    "compiling in the background, once per machine; until then the same code runs"
                    " uncompiled, more slowly",
                    kernel=self._kernel.name,
                )
                if self._kernel.has_cache:
                    compile_in_child(self._kernel.name)
                run = self._kernel.compile()
                log.info("compiled", kernel=self._kernel.name)
            self._run = run
            give_back_library(COMPILER)
        except Exception as error:
            self._error = error
            structlog.get_logger().warning(
                "a kernel could not be compiled", kernel=self._kernel.name, cause=repr(error)
            )
        finally:
            self._ready.set()


def compile_in_child(name: str) -> None:
    """Fill the cache with a kernel by a child process; return when it has ended.

    Whether it could is for the caller to see: the cache has the kernel, or not.
    """
    command = [sys.executable, "-m", "flows.numeric.precompile", CHILD, name]
    quiet = subprocess.DEVNULL
    try:
        # Its end is the pipe's, not that of this process's group.
        child = start_in_own_session(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd=ROOT
        )
    except OSError as error:  # no more processes, no more memory
        structlog.get_logger().warning("no process to compile in", cause=str(error))
        return
    with child:
        code = child.wait()
    if code:
        structlog.get_logger().warning("compiling in a child process failed", exit_code=code)
