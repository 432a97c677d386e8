"""Servers for every suite.

Topic names are fixed, so isolation is by broker: the embedded one is started anew for each test
(0.1 s); Apache Kafka (4 s) lives for the session and has all its topics deleted between tests,
which also drops the committed offsets of every group on them. Tests therefore must not share a
group either: see ``group``. A test that harms its broker starts its own ``ApacheKafka``.
"""

import logging
import uuid
from collections.abc import Iterator

import pytest
import structlog

from tests.support.apache_kafka import ApacheKafka
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka_jars import JarsUnavailableError, kafka_classpath
from tests.support.kafka_tools import delete_topics

Broker = ApacheKafka | EmbeddedBroker


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command run inside a test did to the logs: its stderr is closed afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka_jars() -> str:
    """Apache Kafka's class path; skips where Java or Maven is missing."""
    try:
        return kafka_classpath()
    except JarsUnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def shared_apache_kafka(
    kafka_jars: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """One node for the whole session; ask for ``apache_kafka`` instead."""
    with ApacheKafka(tmp_path_factory.mktemp("apache-kafka")) as kafka:
        yield kafka


@pytest.fixture
def apache_kafka(shared_apache_kafka: ApacheKafka) -> ApacheKafka:
    """Apache Kafka without any topic."""
    delete_topics(shared_apache_kafka.client_config())
    return shared_apache_kafka


@pytest.fixture
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A fresh embedded broker."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded-broker")) as broker:
        yield broker


@pytest.fixture(
    params=["embedded", pytest.param("apache", marks=pytest.mark.apache)], ids=lambda kind: kind
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each kind of broker in turn, without any topic: the same suite runs on both."""
    name = {"embedded": "embedded_broker", "apache": "apache_kafka"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A fresh, empty Redis."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def group() -> str:
    """A consumer group of this test's own."""
    return f"voltick-{uuid.uuid4().hex[:12]}"
