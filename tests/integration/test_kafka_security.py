"""The pipeline against a Kafka that asks for SCRAM and TLS."""

import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from flows.errors import BrokerError
from schemas import topics
from tests.proof.cluster import settings_of
from tests.proof.faults import error_line
from tests.proof.inputs import messages
from tests.proof.progress import Progress
from tests.support.embedded import Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.security import make_security
from tests.support.kafka.tools import create_topics, fill, read_topic
from tests.support.processes import flow

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300)]
COUNT = 500


@pytest.fixture(scope="module")
def secured_kafka(
    kafka_jars: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    security = make_security(tmp_path_factory.mktemp("tls"), secrets.token_urlsafe(12))
    folder = tmp_path_factory.mktemp("secured-kafka")
    with ApacheKafka(folder, security=security) as kafka:
        create_topics(kafka.client_config(), 1)
        fill(kafka.client_config(), islice(messages(81, 1), COUNT))
        yield kafka


def test_pipeline_scores_over_scram_and_tls(
    secured_kafka: ApacheKafka, valkey: Valkey, group: str, tmp_path: Path
) -> None:
    settings = settings_of(secured_kafka, valkey, tmp_path / "models", group, 1)
    progress = Progress(secured_kafka.client_config(), group, 1)
    with flow("flows.pipeline", tmp_path, settings) as process:
        progress.wait_for({0: COUNT}, 150.0)
        progress.close()
        process.terminate()
        assert process.wait_exit(20) == 0, process.tail()
        assert settings["KAFKA_SASL_PASSWORD"] not in process.stderr + process.stdout
    assert len(read_topic(secured_kafka.client_config(), topics.PREDICTIONS)) > COUNT * 0.9


def test_wrong_password_is_refused_in_one_line_without_naming_it(
    secured_kafka: ApacheKafka, valkey: Valkey, group: str, tmp_path: Path
) -> None:
    wrong = "wrong-" + secrets.token_urlsafe(9)
    settings = settings_of(secured_kafka, valkey, tmp_path / "models", group, 1)
    with flow("flows.pipeline", tmp_path, {**settings, "KAFKA_SASL_PASSWORD": wrong}) as process:
        assert process.wait_exit(90) == BrokerError.exit_code
        line = error_line(process)
        assert "refuses the credentials" in line
        assert "KAFKA_SASL_PASSWORD" in line
        assert wrong not in process.stderr + process.stdout
