"""Servers for every suite.

Topic names are fixed, so isolation is by broker: the embedded one is started anew for each test
(0.1 s); Apache Kafka (4 s) lives for the session and has all its topics deleted between tests,
which also drops the committed offsets of every group on them. Tests therefore must not share a
group either: see ``group``. A test that harms its broker starts its own ``ApacheKafka``.
"""

import logging
import os
import signal
import uuid
from collections.abc import Iterator

import pytest
import redis
import structlog
from hypothesis import HealthCheck, settings

from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.jars import JarsUnavailableError, classpath_of_run
from tests.support.kafka.report_line import apache_line
from tests.support.kafka.tools import delete_topics
from tests.support.names import id_of, unstable
from tests.support.processes import ROOT, is_obeyed

Broker = ApacheKafka | EmbeddedBroker

# Deadlines of single examples, and how fast they are made, would tell of the machine.
settings.register_profile("voltick", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voltick")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep bytes, times, paths and addresses out of the tests' names."""
    return id_of(val, argname)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to run tests whose names may differ between the processes that share a run."""
    found = unstable(item.nodeid for item in items)
    if found:
        message = f"names of tests must be short, plain and stable; give ids for: {found}"
        raise pytest.UsageError(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say whether the tests on Apache Kafka ran, which alone hold the guarantees to account."""
    terminalreporter.write_line(apache_line(terminalreporter.stats))


@pytest.fixture(scope="session", autouse=True)
def _nothing_obeyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's settings: those of the environment, and a ``.env`` where tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("nowhere"))
        for name in filter(is_obeyed, list(os.environ)):
            patch.delenv(name)
        patch.setenv("PYTHONPATH", str(ROOT))  # what is started from there is still this code
        yield


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command run inside a test did to the logs: its stderr is closed afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Undo what a command run inside a test did to signals: pytest must end when told to."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def kafka_jars(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Apache Kafka's class path; skips where Java or Maven is missing or hangs."""
    own = tmp_path_factory.getbasetemp()
    try:
        return classpath_of_run(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
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
def database(valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of that Redis."""
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
def group() -> str:
    """A consumer group of this test's own."""
    return f"voltick-{uuid.uuid4().hex[:12]}"
