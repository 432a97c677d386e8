"""The all-in-one run: on loopback alone, and secrets neither in its words nor in command lines."""

import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from flows.errors import ConfigurationError
from flows.settings import Settings, load_settings
from tests.support.answers import answer_of
from tests.support.embedded import Valkey
from tests.support.polling import free_ports, until
from tests.support.processes import Process

SECRETS = ("redis-hush-8151", "token-hush-8152")


def family(process: Process) -> Iterator[psutil.Process]:
    own = psutil.Process(process.pid)
    yield own
    yield from own.children(recursive=True)


def listeners(process: Process) -> dict[int, str]:
    """Port -> address on which the process or a child of it accepts connections."""
    found = {}
    for each in family(process):
        with suppress(psutil.NoSuchProcess):
            for one in each.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN:
                    found[one.laddr.port] = one.laddr.ip
    return found


def scored(port: int) -> bool:
    return bool(answer_of(port, "/scores").get("scores"))


@pytest.mark.timeout(240)
def test_everything_listens_on_loopback_and_keeps_its_secrets(tmp_path: Path) -> None:
    redis_secret, token = SECRETS
    [port, metrics] = free_ports(2)
    with Valkey(tmp_path / "valkey", "--requirepass", redis_secret) as valkey:
        settings = {
            "REDIS_URL": valkey.url.replace("//", f"//:{redis_secret}@"),
            "VOLTICK_API_TOKEN": token,
            "VOLTICK_API_PORT": str(port),
            "VOLTICK_METRICS_PORT": str(metrics),
            "VOLTICK_FEED": "simulate",
            "VOLTICK_LOG_LEVEL": "debug",
            "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        }
        with Process(["-m", "bytewax.run", "flows.pipeline"], tmp_path, settings) as process:

            def ready() -> bool:
                assert process.running, process.tail()
                return scored(port)

            until(ready, "a score", 120)
            found = listeners(process)
            lines = [" ".join(each.cmdline()) for each in family(process)]
            process.interrupt()
            process.wait_exit(60)
    assert {port, metrics} <= found.keys()
    assert len(found) >= 3  # and the broker
    assert set(found.values()) == {"127.0.0.1"}
    for secret in SECRETS:
        assert not [line for line in lines if secret in line]
        assert secret not in process.stderr
        assert secret not in process.stdout


@pytest.mark.parametrize(
    "settings",
    [
        {"REDIS_URL": f"redis://:{SECRETS[0]}#1@127.0.0.1:1/0"},
        {"KAFKA_SASL_PASSWORD": SECRETS[0], "KAFKA_SASL_MECHANISM": "NONSENSE"},
    ],
    ids=["REDIS_URL", "KAFKA_SASL_PASSWORD"],
)
def test_a_refused_start_is_one_line_without_the_secret(
    settings: dict[str, str], tmp_path: Path
) -> None:
    plain = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "VOLTICK_MODEL_STORE": str(tmp_path / "m")}
    arguments = ["-m", "bytewax.run", "flows.pipeline"]
    with Process(arguments, tmp_path, {**plain, **settings}) as process:
        assert process.wait_exit(90) == 2
    assert process.stderr.count("\n") == 1
    assert SECRETS[0] not in process.stderr


# What stands where a password belongs in each; urlsplit takes it for something else in most.
_UNUSABLE_URLS = (
    "http://user:{}@127.0.0.1",
    "redis://:{}@127.0.0.1:port/0",
    "redis://:{}@[::1/0",
    "redis://:{}/@127.0.0.1:1/0",
    "redis://:{}#@127.0.0.1:1/0",
    "redis://:{}?@127.0.0.1:1/0",
    "redis://{}:1:2/0",
    "rediss://:{}@127.0.0.1:1/0?no_such_option=1",
    "redis://127.0.0.1:1/0?socket_timeout={}",
)


@pytest.mark.parametrize("url", _UNUSABLE_URLS)
def test_an_unusable_redis_url_is_refused_without_its_password(url: str) -> None:
    env = {"REDIS_URL": url.format(SECRETS[0])}
    with pytest.raises(ConfigurationError, match="REDIS_URL is unusable: ") as caught:
        load_settings(env)
    assert SECRETS[0] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://:a%2Fb%40c@127.0.0.1:6379/3",
        "redis://user:pw@[::1]:6379/0?socket_timeout=2",
        "rediss://:pw@redis.example:6380/0?ssl_cert_reqs=required",
        "unix://user:pw@/run/redis.sock?db=1",
    ],
)
def test_usable_redis_urls_are_taken(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis_url.get_secret_value() == url


def test_secrets_are_in_no_representation_of_the_settings() -> None:
    names = ("KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY_PASSWORD", "VOLTICK_API_TOKEN")
    settings = load_settings(dict.fromkeys(names, SECRETS[0]) | {"REDIS_URL": _URL})
    for shown in (repr(settings), str(settings), str(settings.model_dump())):
        assert SECRETS[0] not in shown
    with pytest.raises(ValidationError) as refused:
        Settings(redis_url=_UNUSABLE_URLS[0].format(SECRETS[0]))
    assert SECRETS[0] not in str(refused.value)
    for name in names:
        with pytest.raises(ConfigurationError) as caught:
            load_settings({name: SECRETS[0], "VOLTICK_API_PORT": "none"})
        assert SECRETS[0] not in str(caught.value)


_URL = f"redis://:{SECRETS[0]}@127.0.0.1:1/0"
