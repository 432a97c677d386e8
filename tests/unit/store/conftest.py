"""One archive for the tests that only read."""

from pathlib import Path

import pytest

from tests.support.archives import archive
from tests.unit.store import market


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of all topics: two markets, two partitions, three days."""
    made = tmp_path_factory.mktemp("archive")
    for topic, partitions in market.MESSAGES.items():
        for partition, messages in partitions.items():
            half = len(messages) // 2
            archive(made, topic, messages[:half], partition)
            archive(made, topic, messages[half:], partition)
    return made
