"""Real recordings, where this machine has them."""

from pathlib import Path

import pytest

FRAMES = Path(__file__).parents[3] / "shared" / "data" / "frames"
SUFFIX = ".frames.ndjson.gz"


def capture(name: str) -> Path:
    """Return the recording's path, or skip the test where it is absent."""
    path = FRAMES / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
    if not path.is_file():
        pytest.skip(f"the recording {path.name} is not on this machine")
    return path
