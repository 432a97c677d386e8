"""The API in a process of its own, beside a real Redis."""

import httpx
import pytest

from flows.scoring.registry import ModelStore
from tests.support.api import TOKEN, api
from tests.support.browser import browser, chromium
from tests.support.embedded import Valkey


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


@pytest.fixture
def server(tmp_path, valkey: Valkey):
    with api(tmp_path, valkey.url, api_token=TOKEN) as address:
        yield address


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server, timeout=10) as made:
        yield made


@pytest.fixture
def page(tmp_path):
    chromium()
    with browser(tmp_path / "browser") as opened:
        yield opened
