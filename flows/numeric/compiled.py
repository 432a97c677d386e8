"""One source in two forms: as Python runs it, and compiled by numba.

A kernel is a plain function over named tuples of arrays. Compiled it is 500 times faster, but
compiling takes some seconds. So it can also run as it stands, with the same result bit for bit:

- arithmetic is IEEE in program order in both forms, with the same library's functions;
- uncompiled, elements are read through memoryviews, as Python's numbers. These differ from numba's
  in what they refuse: sources use ``arithmetic.quotient`` where the divisor may be zero, take no
  logarithm of zero and no root of a negative number, and keep integers within 64 bits.

numba is imported where it is used: who runs the uncompiled form does not wait for that import.
"""

import zlib
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Generic, TypeVar, cast

import structlog

from flows.numeric.cache import cached_function, exclusive, is_surely_absent, load_cached

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
Run = TypeVar("Run", bound=Callable[..., int])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    # No array is made or kept by compiled code, so none needs counting: the atomic counts around
    # every call would cost a fifth of the time.
    "_nrt": False,
    # Nothing calls compiled code from C.
    "no_cfunc_wrapper": True,
}
_MARK = "_numba_options"

FEW_ROWS = 100_000
"""So many rows run uncompiled in less time than compiling takes."""


def compilable(function: AnyFunction) -> AnyFunction:
    """Mark a function that a kernel calls: compiled with the kernel, plain for Python."""
    setattr(function, _MARK, {})
    return function


def inlined(function: AnyFunction) -> AnyFunction:
    """Mark a function like ``compilable``; the compiled kernel holds its code at every call.

    For what runs every tick: a call that passes arrays costs more than most such functions do.
    """
    setattr(function, _MARK, {"forceinline": True})
    return function


class Kernel(Generic[Run]):
    """A function over arrays, to be run uncompiled or compiled.

    Parameters
    ----------
    name
        Where another process finds this kernel: ``module:function``, which returns it.
    function
        Takes named tuples of arrays and integers; returns an integer.
    example
        Returns arguments of the right types.
    modules
        All modules whose code the function runs, or whose constants it reads.
    """

    def __init__(
        self,
        name: str,
        function: Run,
        example: Callable[[], tuple[Any, ...]],
        modules: Iterable[ModuleType],
    ) -> None:
        self.name = name
        self._function = function
        self._example = example
        self._modules = tuple(modules)

    @cached_property
    def uncompiled(self) -> Run:
        """The function as Python runs it."""
        function = self._function

        def run(*arguments: Any) -> int:
            return function(*[_views(argument) for argument in arguments])

        return cast(Run, run)

    @property
    def cache_path(self) -> Path | None:
        """The folder that holds the compiled form for all processes; None without one."""
        path = self._dispatcher.stats.cache_path
        return None if path is None else Path(path)

    @property
    def has_cache(self) -> bool:
        """Whether the compiled form can be kept for other processes."""
        return self._is_surely_absent() or self.cache_path is not None

    def load(self) -> Run | None:
        """Return the compiled form if this process has it, or the cache; None otherwise."""
        if self._is_surely_absent():
            return None
        return self.compile() if self._is_compiled() else None

    def form_for(self, rows: int) -> Run:
        """Return the form that is done first with so many rows: the compiled one if it is there."""
        if rows > FEW_ROWS:
            return self.compile()
        return self.load() or self.uncompiled

    def compile(self) -> Run:
        """Return the compiled form: from the cache, or compiled now.

        Waits for another process that is compiling it for the same cache.
        """
        dispatcher = self._dispatcher
        if not dispatcher.signatures:
            with exclusive(self.cache_path, self._stamped.__qualname__):
                if not self._is_compiled():  # which loads it, and mends a broken cache
                    self._compile()
        return cast(Run, dispatcher)

    def _compile(self) -> None:
        try:
            self._dispatcher.compile(self._signature)
        except OSError as error:  # compiled, but not to be written
            if not self._dispatcher.signatures:
                raise
            structlog.get_logger().warning(
                "the compiled code could not be cached", kernel=self.name, cause=str(error)
            )

    def _is_surely_absent(self) -> bool:
        """Tell without numba, as far as that is possible, that there is no compiled form yet."""
        return "_dispatcher" not in vars(self) and is_surely_absent(self._stamped)

    def _is_compiled(self) -> bool:
        dispatcher = self._dispatcher
        return bool(dispatcher.signatures) or load_cached(dispatcher, self._signature)

    @cached_property
    def _dispatcher(self) -> Any:
        for module in self._modules:
            for function in vars(module).values():
                if isinstance(function, FunctionType) and hasattr(function, _MARK):
                    _make_compilable(function)
        return cached_function(self._stamped, _OPTIONS, self._signature)

    @cached_property
    def _stamped(self) -> FunctionType:
        """The function under a name that tells all its sources.

        numba knows only the function's own file when it judges whether the cache is stale; the name
        is part of the cache's key.
        """
        function = cast(FunctionType, self._function)
        stamped = FunctionType(function.__code__, function.__globals__, function.__name__)
        stamped.__module__ = function.__module__
        stamped.__qualname__ = f"{function.__name__}_{fingerprint(*self._modules):08x}"
        return stamped

    @cached_property
    def _signature(self) -> tuple[Any, ...]:
        import numba

        typeof: Callable[[Any], Any] = numba.typeof
        return tuple(typeof(argument) for argument in self._example())


def fingerprint(*modules: ModuleType) -> int:
    """Return a checksum of the modules' sources and of this one's."""
    checksum = zlib.crc32(Path(__file__).read_bytes())
    for module in modules:
        checksum = zlib.crc32(Path(module.__file__ or "").read_bytes(), checksum)
    return checksum


@cache
def _make_compilable(function: FunctionType) -> None:
    from numba.extending import register_jitable

    register_jitable(**_OPTIONS, **getattr(function, _MARK))(function)


def _views(argument: Any) -> Any:
    """Return a named tuple of arrays as one of memoryviews; anything else as it is."""
    if isinstance(argument, tuple):
        return type(argument)(*[memoryview(array) for array in argument])
    return argument
