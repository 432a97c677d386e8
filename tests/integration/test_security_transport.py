"""Kafka with SCRAM and TLS, Redis with password and TLS: the running product behind both."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError, URLError

import psutil
import pytest
import redis

from flows.connectors.kafka.admin import partition_counts
from flows.errors import BrokerError, ConfigurationError
from schemas import topics
from tests.support.embedded import Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.security import Security, make_security
from tests.support.kafka.tools import end_offsets
from tests.support.polling import free_ports, until
from tests.support.processes import Process, flow
from tests.support.tls_proxy import TlsProxy

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300)]

SECRETS = ("kafka-hush-4711", "redis-hush-4712", "token-hush-4713")
KAFKA_SECRET, REDIS_SECRET, API_SECRET = SECRETS


@dataclass
class Site:
    """Both servers, and the environment of a client that is let in."""

    kafka: ApacheKafka
    security: Security
    valkey: Valkey
    proxy: TlsProxy

    @property
    def redis_url(self) -> str:
        ca = self.security.folder / "ca.pem"
        return f"rediss://:{REDIS_SECRET}@127.0.0.1:{self.proxy.port}/0?ssl_ca_certs={ca}"

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        return {
            **self.kafka.environment(),
            "REDIS_URL": self.redis_url,
            "VOLTICK_API_TOKEN": API_SECRET,
            "VOLTICK_MODEL_STORE": str(folder / "models"),
            "VOLTICK_PARTITIONS": "2",
            "VOLTICK_LOG_LEVEL": "debug",
            **more,
        }


@pytest.fixture(scope="module")
def site(kafka_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secure")
    (folder / "kafka").mkdir()
    security = make_security(folder, KAFKA_SECRET)
    valkey = Valkey(folder / "valkey", "--requirepass", REDIS_SECRET)
    with (
        ApacheKafka(folder / "kafka", security=security) as kafka,
        valkey,
        TlsProxy(folder / "server.pem", valkey.port) as proxy,
    ):
        yield Site(kafka, security, valkey, proxy)


def ask(port: int, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)
    except (URLError, ConnectionError, TimeoutError):
        return 0, {}


def listeners(process: Process) -> set[str]:
    """Addresses on which the process, or a child of it, accepts connections."""
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    return {
        found.laddr.ip
        for each in family
        for found in each.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }


def assert_no_secret(*processes: Process) -> None:
    for process in processes:
        for secret in SECRETS:
            assert secret not in process.stderr
            assert secret not in process.stdout


def test_everything_runs_behind_scram_tls_and_a_password(site: Site, tmp_path: Path) -> None:
    [port, metrics] = free_ports(2)
    settings = site.environment(
        tmp_path,
        VOLTICK_FEED="simulate",
        VOLTICK_API_PORT=str(port),
        VOLTICK_METRICS_PORT=str(metrics),
    )
    with (
        flow("flows.ingest", tmp_path, settings, "ingest") as ingest,
        flow("flows.pipeline", tmp_path, settings, "pipeline") as pipeline,
        Process(["-m", "serving"], tmp_path, settings, "serving") as serving,
    ):
        family = (ingest, pipeline, serving)

        def healthy() -> bool:
            assert all(each.running for each in family), [each.tail() for each in family]
            return ask(port, "/health")[0] == 200

        until(healthy, "/health over both secured servers", 90)

        def both_scored() -> bool:
            status, answer = ask(port, "/scores")
            assert status == 200
            return {each["symbol"] for each in answer["scores"]} == {"BTC-USD", "ETH-USD"}

        # They lie in two partitions, which the pipeline reaches one after the other.
        until(both_scored, "scores of both symbols", 30)
        ends = end_offsets(site.kafka.client_config(), topics.PREDICTIONS, 2)
        assert sum(high for _low, high in ends.values()) > 0
        assert site.proxy.connections >= 2
        for each in family:
            assert listeners(each) <= {"127.0.0.1"}, each.arguments
        assert listeners(pipeline) == listeners(serving) == {"127.0.0.1"}
        for path in ("/health", "/version", "/metrics", "/openapi.json", "/models"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                said = answer.read().decode()
            assert not any(secret in said for secret in SECRETS), path
        # Losing Redis is a warning; its words must not hold the password either.
        site.valkey.kill()
        pipeline.wait_for_log("Redis is away", 30)
        until(lambda: ask(port, "/scores")[0] == 503, "the API to notice", 30)
        site.valkey.start()
        pipeline.wait_for_log("Redis is back", 60)
        until(lambda: ask(port, "/scores")[0] == 200, "scores again", 60)
    assert_no_secret(*family)


def test_plain_redis_clients_are_kept_out(site: Site) -> None:
    with redis.Redis(port=site.valkey.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    wrong = site.redis_url.replace(REDIS_SECRET, "other")
    with redis.Redis.from_url(wrong) as client, pytest.raises(redis.AuthenticationError) as caught:
        client.ping()
    assert "other" not in str(caught.value)


@pytest.mark.parametrize("module", ["flows.pipeline", "flows.ingest"])
def test_a_wrong_password_is_one_clear_line(site: Site, tmp_path: Path, module: str) -> None:
    wrong = "not-the-hush-4714"
    settings = site.environment(tmp_path, KAFKA_SASL_PASSWORD=wrong, VOLTICK_FEED="simulate")
    with flow(module, tmp_path, settings) as process:
        assert process.wait_exit(60) == 2
    lines = process.stderr.splitlines()
    [line] = [each for each in lines if "refuses the credentials" in each]
    assert site.kafka.bootstrap in line
    assert "KAFKA_SASL_PASSWORD" in line
    assert not [each for each in lines if "Traceback" in each or each.startswith("%")]
    assert wrong not in process.stderr
    assert_no_secret(process)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"sasl.password": "other"}, "refuses the credentials"),
        ({"sasl.username": "nobody"}, "refuses the credentials"),
        ({"sasl.mechanism": "PLAIN"}, "refuses the credentials .*SCRAM-SHA-256"),
        ({"ssl.ca.location": None}, "certificate verify failed"),
        ({"security.protocol": "PLAINTEXT"}, "no Kafka broker answers .*security settings"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "no Kafka broker answers .*security settings"),
    ],
)
def test_who_is_not_let_in_learns_why(site: Site, changes, cause: str) -> None:
    config = {**site.kafka.client_config(), **changes}
    config = {name: value for name, value in config.items() if value is not None}
    with pytest.raises(BrokerError, match=cause) as caught:
        partition_counts(config, [topics.TICKS_RAW])
    assert KAFKA_SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"sasl.mechanism": "ABRACADABRA"}, "Unsupported SASL mechanism"),
        ({"sasl.username": None}, "sasl.username and sasl.password"),
        ({"ssl.ca.location": "server.key"}, "ssl.ca.location"),
    ],
)
def test_unusable_security_settings_are_named(site: Site, changes, cause: str) -> None:
    if "ssl.ca.location" in changes:
        changes = {"ssl.ca.location": str(site.security.folder / "server.key")}
    config = {**site.kafka.client_config(), **changes}
    config = {name: value for name, value in config.items() if value is not None}
    with pytest.raises(ConfigurationError, match=cause) as caught:
        partition_counts(config, [topics.TICKS_RAW])
    assert KAFKA_SECRET not in str(caught.value)


def test_a_certificate_of_another_authority_is_refused(site: Site, tmp_path: Path) -> None:
    stranger = replace(make_security(tmp_path, KAFKA_SECRET))
    config = {**site.kafka.client_config(), "ssl.ca.location": str(tmp_path / "ca.pem")}
    assert stranger.folder == tmp_path
    with pytest.raises(BrokerError, match="certificate verify failed"):
        partition_counts(config, [topics.TICKS_RAW])
