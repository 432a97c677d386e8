"""Where compiled code is kept for the next process, and who writes it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from flows.host.locks import lock_file
from flows.host.temporary import SHARED_MEMORY, own_folder

FILLED = "flows.numeric.filled_cache.FilledUserLocator,flows.numeric.filled_cache.FilledTreeLocator"


def cached_function(
    function: Callable[..., Any], options: dict[str, Any], signature: tuple[Any, ...]
) -> Any:
    """Return numba's dispatcher of a function, with the first of these caches that there is.

    Those that can be written: ``NUMBA_CACHE_DIR``, the source's ``__pycache__``, the user's cache
    folder. One of the first two that cannot, but holds the function for this machine. A folder of
    our own among the temporary files. Otherwise each process compiles the function again.
    """
    import numba

    def cached() -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
        return None

    found = cached()
    if found is None:
        with _changed(numba.config, "CACHE_LOCATOR_CLASSES", FILLED):
            found = cached()
        if found is not None and not load_cached(found, signature):
            found = None
    if found is None:
        folder = temporary_folder()
        if folder is not None:
            with _changed(numba.config, "CACHE_DIR", str(folder)):
                found = cached()
    if found is None:
        _say_uncached()
        found = numba.njit(**options)(function)
    return found


def is_surely_absent(function: Callable[..., Any]) -> bool:
    """Return whether the cache certainly lacks a function; False also where numba must be asked.

    Importing numba takes half a second, which a first start is spared. Of the folders that can be
    written numba takes the first: the one that ``NUMBA_CACHE_DIR`` names, or ``__pycache__`` beside
    the source.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named or Path(function.__code__.co_filename).parent / "__pycache__")
    made = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(made, os.W_OK):
        return False
    return not any(folder.rglob(f"*.{function.__qualname__}-*.nbi"))


def load_cached(dispatcher: Any, signature: tuple[Any, ...]) -> bool:
    """Load a dispatcher's code from its cache; return whether it was there; empty a damaged one."""
    # The one way to ask the cache without compiling what it lacks.
    cache_of = dispatcher._cache  # noqa: SLF001
    try:
        with _without_what_compiling_needs():
            found = cache_of.load_overload(signature, dispatcher.targetctx) is not None
            if found:
                dispatcher.compile(signature)
        return found
    except Exception as error:  # a damaged pickle may raise anything
        structlog.get_logger().warning(
            "the cache of compiled code is damaged and made anew", cause=repr(error)
        )
    try:
        cache_of.flush()
    except OSError:
        cache_of.disable()
    return False


def temporary_folder() -> Path | None:
    """Return a folder for the cache that nobody else can write to; None if there is none.

    It lies among the temporary files, or in shared memory where there is no place for those.
    A cache holds machine code and pickles: loading one that another user wrote would run their
    code.
    """
    try:
        parents = [Path(tempfile.gettempdir())]
    except OSError:  # none can be written to
        parents = []
    folders = (own_folder(parent, "voltick-cache") for parent in (*parents, SHARED_MEMORY))
    return next((folder for folder in folders if folder is not None), None)


@contextmanager
def exclusive(folder: Path | None, name: str) -> Iterator[None]:
    """Let one process at a time in, for a name in a folder; everyone where there is no folder.

    Waits for the process that is in. The lock goes with the process that holds it.
    """
    if folder is None:
        yield
        return
    try:
        lock = (folder / f"{name}.lock").open("ab")
    except OSError:  # the folder became unwritable: numba says so
        yield
        return
    with lock:
        lock_file(lock)
        yield


@contextmanager
def _without_what_compiling_needs() -> Iterator[None]:
    """Load code from a cache without what numba prepares for compiling.

    Before it loads anything, numba refreshes its target: it imports how each function of Python and
    NumPy is compiled, and compiles its own runtime. Machine code needs none of that, and a process
    that compiles nothing saves 50 MB and half a second of its start. Who compiles refreshes first.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.cpu import CPUContext

    # Whoever compiles in another thread waits: it needs the refresh.
    with global_compiler_lock, _changed(CPUContext, "refresh", _not_refreshed):
        yield


def _not_refreshed(_target: object) -> None:
    return


@contextmanager
def _changed(owner: Any, name: str, value: object) -> Iterator[None]:
    """Have another value of an attribute meanwhile."""
    before = getattr(owner, name, "")
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@cache
def _say_uncached() -> None:
    structlog.get_logger().warning(
        "no place can be written to: compiled code is not kept, and every process compiles it"
        " again for some seconds; set NUMBA_CACHE_DIR to a folder that it may write to"
    )
