"""A real Redis for the tests of what is written to it."""

from collections.abc import Callable, Iterator

import pytest
import redis

from flows.connectors.redis.writer import connect
from tests.support.embedded import Valkey
from tests.unit.connectors.redis.entries import Process


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as made:
        yield made


@pytest.fixture
def write(valkey: Valkey) -> Iterator[Callable[..., None]]:
    with connect(valkey.url) as own:
        yield Process(own).write
