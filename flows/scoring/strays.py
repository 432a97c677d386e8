"""Foreign files in the model store: passed over, and named once in a warning."""

from pathlib import Path

import structlog

# Editors can leave a new name at every save; a store with more strays than this is named as one.
_MOST_NAMED = 100


class Strays:
    """Name each stray path once in the life of one store object."""

    def __init__(self) -> None:
        self._named: set[Path] = set()

    def name(self, path: Path, cause: str) -> None:
        """Log a warning about a path that is passed over, unless there was one before."""
        if path in self._named or len(self._named) >= _MOST_NAMED:
            return
        self._named.add(path)
        more = {"others": "not named any more"} if len(self._named) == _MOST_NAMED else {}
        structlog.get_logger().warning(
            "the model store holds a foreign file, which is passed over",
            path=str(path),
            cause=cause,
            **more,
        )
