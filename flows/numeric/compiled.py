"""Compilation by numba, in one place: settings, caching, and the arithmetic that rooms share."""

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numba

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    # No array is made or kept by compiled code, so none needs counting: the atomic counts around
    # every call would cost a fifth of the time.
    "_nrt": False,
}

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

SERIES_LIMIT = 0.01
"""Below this |z| the series of ``log_ratio`` is exact to double precision."""


def compiled(function: AnyFunction) -> AnyFunction:
    """Compile a helper on first use: IEEE arithmetic in program order, no exceptions, no GIL.

    Such helpers are not cached by themselves; they become part of the entry that calls them.
    """
    return cast(AnyFunction, numba.njit(**_OPTIONS)(function))


def inlined(function: AnyFunction) -> AnyFunction:
    """Compile a helper like ``compiled`` does, always into its caller: for what runs every tick.

    A call that passes arrays costs more than most of such helpers do.
    """
    wrapped = numba.njit(forceinline=True, **_OPTIONS)(function)
    return cast(AnyFunction, wrapped)


def entry(signature: Any) -> Callable[[AnyFunction], AnyFunction]:
    """Compile a function for one signature now, or load it from the cache beside its source.

    numba knows only the entry's own file when it judges whether a cached version is stale. So
    entries are made inside a function that takes a ``fingerprint`` of all other sources involved
    and mention it: what is closed over is part of the cache's key.
    """

    def decorate(function: AnyFunction) -> AnyFunction:
        wrapped = numba.njit(signature, cache=True, **_OPTIONS)(function)
        return cast(AnyFunction, wrapped)

    return decorate


def fingerprint(*modules: ModuleType) -> int:
    """Return a checksum of the modules' sources and of this one's."""
    checksum = zlib.crc32(Path(__file__).read_bytes())
    for module in modules:
        checksum = zlib.crc32(Path(module.__file__ or "").read_bytes(), checksum)
    return checksum


@inlined
def log_ratio(before: float, after: float) -> float:
    """Return log(after / before) of two positive numbers, to the last bits for tiny moves too.

    Near 1 by the series 2 artanh(z), z = (after - before) / (after + before): the difference of
    close numbers is exact, while the logarithm of their rounded quotient is not.
    """
    z = (after - before) / (after + before)
    if -SERIES_LIMIT < z < SERIES_LIMIT:
        q = z * z
        return 2.0 * z * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q / 9.0))))
    return math.log(after / before)
