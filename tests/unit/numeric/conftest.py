"""A cache of compiled code for each test."""

import numba
import pytest


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """Have numba keep compiled code in an empty folder, in child processes too."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path
