"""Buckets of a local S3 server."""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.s3 import BUCKET, S3Server, s3_server


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[S3Server]:
    """One server for all tests; ask for ``s3`` instead."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(shared_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server that this process's clients reach."""
    for name, value in shared_s3.environment.items():
        monkeypatch.setenv(name, value)
    return shared_s3


_NUMBERS = itertools.count()


@pytest.fixture
def bucket_place(s3: S3Server) -> str:
    """An address in S3 that nothing lies at yet."""
    return f"s3://{BUCKET}/archive-{next(_NUMBERS)}"
