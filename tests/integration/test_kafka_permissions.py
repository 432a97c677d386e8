"""A Kafka that authorizes: what a user may not do is named, with the topic, group or id."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from flows.errors import BrokerError
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.security import USER, make_security
from tests.support.kafka.tools import Outgoing, create_topics, fill
from tests.support.pipeline import PARTITIONS, tick
from tests.support.processes import run

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300)]
# Who comes by the brokers' own listener has no name, and may do all.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


class Authority:
    """Allows things to the tests' user, by the listener where all is allowed."""

    def __init__(self, kafka: ApacheKafka) -> None:
        self.kafka = kafka
        self.config = {"bootstrap.servers": f"127.0.0.1:{kafka.nodes[0].internal_port}"}
        self._admin = AdminClient(self.config)

    def allow(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Allow operations on a topic, group or transactional id; ``*`` is each."""
        rules = [
            AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                f"User:{USER}",
                "*",
                operation,
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        for done in self._admin.create_acls(rules).values():
            done.result(10)

    def forbid_all(self) -> None:
        """Take everything back."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            None,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for done in self._admin.delete_acls([everything]).values():
            done.result(10)

    def refused(self, program: list[str], folder: Path) -> str:
        """Run a command that has to end with one error, and return that line."""
        settings = {
            **self.kafka.environment(),
            "VOLTICK_FEED": "simulate",
            "VOLTICK_START": "beginning",
        }
        done = run(["-m", *program], folder, settings)
        assert done.returncode == BrokerError.exit_code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def authority(kafka_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    security = make_security(tmp_path_factory.mktemp("tls"), secrets.token_urlsafe(12))
    folder = tmp_path_factory.mktemp("authorizing-kafka")
    with ApacheKafka(folder, security=security, properties=AUTHORIZER) as kafka:
        made = Authority(kafka)
        create_topics(made.config, PARTITIONS, names=[*topics.ALL, topics.REDRIVEN])
        fill(made.config, [tick(number) for number in range(30)])
        letter = DeadLetter(reason=Reason.NOT_JSON, detail="", payload=b"x", topic=topics.TICKS_RAW)
        dead = Outgoing(0, b"", msgspec.json.encode(letter), tick(0).timestamp_ms)
        fill(made.config, [dead], topics.DEAD_LETTERS)
        yield made


@pytest.fixture
def rules(authority: Authority) -> Authority:
    """Nothing is allowed yet."""
    authority.forbid_all()
    return authority


def test_a_topic_that_is_not_shown_may_be_there(rules: Authority, tmp_path: Path) -> None:
    line = rules.refused(["bytewax.run", "flows.ingest"], tmp_path)
    assert "cannot create topic ticks.raw: " in line
    assert "is not shown to this user: allow READ, WRITE or DESCRIBE on it" in line


def test_each_topic_that_may_not_be_used_is_named(rules: Authority, tmp_path: Path) -> None:
    rules.allow(ResourceType.TOPIC, "*", AclOperation.DESCRIBE)
    denied = f"does not allow user {USER} "
    line = rules.refused(["bytewax.run", "flows.ingest"], tmp_path)
    assert f"{denied}WRITE on topic ticks.raw, WRITE on topic dead.letters; allow it" in line
    rules.allow(ResourceType.TOPIC, topics.TICKS_RAW, AclOperation.READ)
    line = rules.refused(["bytewax.run", "flows.candles"], tmp_path)
    assert f"{denied}WRITE on topic candles; allow it" in line
    line = rules.refused(["bytewax.run", "flows.archive"], tmp_path)
    assert f"{denied}READ on topic ticks.features, READ on topic predictions" in line
    file = tmp_path / "none.ndjson"
    file.write_bytes(b"")
    line = rules.refused(["flows.redrive", "put", str(file)], tmp_path)
    assert f"{denied}WRITE on topic ticks.raw, WRITE on topic dead.letters.redriven" in line


def test_a_group_that_may_not_be_used_is_named(rules: Authority, tmp_path: Path) -> None:
    """The client alone says that the broker did not answer in time."""
    operations = (AclOperation.DESCRIBE, AclOperation.READ, AclOperation.WRITE)
    rules.allow(ResourceType.TOPIC, "*", *operations)
    line = rules.refused(["bytewax.run", "flows.candles"], tmp_path)
    assert "cannot read the committed offsets of group voltick-candles: " in line
    assert "allow DESCRIBE or READ on the group" in line


def test_a_transactional_id_that_may_not_be_used_is_named(rules: Authority, tmp_path: Path) -> None:
    operations = (AclOperation.DESCRIBE, AclOperation.READ, AclOperation.WRITE)
    rules.allow(ResourceType.TOPIC, "*", *operations)
    rules.allow(ResourceType.GROUP, "*", AclOperation.READ)
    line = rules.refused(["bytewax.run", "flows.candles"], tmp_path)
    assert "on the transactional ids voltick-candles-0, voltick-candles-1" in line


def test_who_reads_a_topic_needs_no_group(rules: Authority, tmp_path: Path) -> None:
    rules.allow(ResourceType.TOPIC, topics.DEAD_LETTERS, AclOperation.READ)
    rules.allow(ResourceType.TOPIC, topics.REDRIVEN, AclOperation.READ)
    out = tmp_path / "dead.ndjson"
    arguments = ["-m", "flows.redrive", "export", "--out", str(out)]
    done = run(arguments, tmp_path, rules.kafka.environment())
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().count(b"\n") == 1
