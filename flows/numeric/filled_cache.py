"""Find compiled code that was cached ahead, in folders that this process cannot write to.

An image with a read-only root holds its code like this. numba itself takes only folders that it can
write to; it finds these classes by their names.
"""

from pathlib import Path
from typing import Any

from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator


class _Filled:
    """Take a folder that has an index of the function."""

    def ensure_cache_path(self) -> None:
        """Accept the folder as it is."""

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """Return a locator of the folder; None without an index there."""
        locator: Any = super().from_function(function, file)  # type: ignore[misc]
        if locator is None:
            return None
        folder = Path(locator.get_cache_path())
        return locator if any(folder.glob(f"*.{function.__qualname__}-*.nbi")) else None


class FilledUserLocator(_Filled, UserProvidedCacheLocator):
    """The folder that ``NUMBA_CACHE_DIR`` names."""


class FilledTreeLocator(_Filled, InTreeCacheLocator):
    """``__pycache__`` beside the source."""
