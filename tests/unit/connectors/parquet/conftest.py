"""Storages: a folder, and a bucket of a local S3 server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.storage import Storage


@pytest.fixture(params=["folder", "bucket"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    """Return what opens the same storage again, as another process would."""
    if request.param == "folder":
        return lambda: open_storage(tmp_path / "archive")
    place = request.getfixturevalue("bucket_place")
    return lambda: open_storage(place)
