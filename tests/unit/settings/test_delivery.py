"""Settings as shells, files and deployment tools deliver them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.errors import ConfigurationError
from flows.settings import Settings, load_settings
from flows.settings.environment import plain_text, protected_text

LINKS = {
    "VOLTICK_SERVICE_HOST": "10.96.1.2",
    "VOLTICK_SERVICE_PORT": "8000",
    "VOLTICK_SERVICE_PORT_HTTP": "8000",
    "VOLTICK_PORT": "tcp://10.96.1.2:8000",
    "VOLTICK_PORT_8000_TCP": "tcp://10.96.1.2:8000",
    "VOLTICK_PORT_8000_TCP_PROTO": "tcp",
    "VOLTICK_PORT_8000_TCP_PORT": "8000",
    "VOLTICK_PORT_8000_TCP_ADDR": "10.96.1.2",
}


def links_of(service: str) -> dict[str, str]:
    """Return what Kubernetes gives every pod beside a Service of this name."""
    stem = service.upper().replace("-", "_")
    return {name.replace("VOLTICK", stem): value for name, value in LINKS.items()}


def refused(env: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(env)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "service", ["voltick", "voltick-api", "voltick-metrics", "voltick-pipeline", "kafka", "redis"]
)
def test_variables_of_a_kubernetes_service_are_passed_over(service: str) -> None:
    assert load_settings(links_of(service)) == Settings()


def test_a_port_given_beside_a_service_of_that_name_counts() -> None:
    env = links_of("voltick-api") | {"VOLTICK_API_PORT": "8156"}
    assert load_settings(env).api_port == 8156


def test_a_port_in_the_dotenv_counts_beside_a_service_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("VOLTICK_API_PORT=8156\n")
    monkeypatch.chdir(tmp_path)
    for name, value in links_of("voltick-api").items():
        monkeypatch.setenv(name, value)
    assert load_settings().api_port == 8156


@pytest.mark.parametrize("name", ["VOLTICK_PORT", "VOLTICK_PIPELINE_PORT"])
def test_the_address_of_a_service_may_come_alone(name: str) -> None:
    assert load_settings({name: "tcp://10.96.1.2:8000"}) == Settings()
    assert f"{name} is not a setting" in refused({name: "8000"})


def test_services_of_the_servers_are_none_of_our_business() -> None:
    links = {"KAFKA_PORT": "tcp://10.96.1.3:9092", "REDIS_PORT": "tcp://10.96.1.4:6379"}
    assert load_settings(links) == Settings()


def test_an_address_for_a_port_without_a_service_is_refused_with_the_cure() -> None:
    said = refused({"VOLTICK_API_PORT": "tcp://10.96.1.2:8000"})
    assert "VOLTICK_API_PORT" in said
    assert "enableServiceLinks" in said


def test_a_misspelt_setting_is_refused_beside_services() -> None:
    assert "VOLTICK_SYMBOLS" in refused({**LINKS, "VOLTICK_SYMBOL": "BTC-USD"})


MEANT = [
    ("VOLTICK_API_PORT", '"9000"', "api_port", 9000),
    ("VOLTICK_API_PORT", "'9000'", "api_port", 9000),
    ("VOLTICK_API_PORT", " 9000 ", "api_port", 9000),
    ("VOLTICK_API_PORT", "9000\r", "api_port", 9000),
    ("VOLTICK_API_PORT", "9_000", "api_port", 9000),
    ("VOLTICK_API_PORT", "9e3", "api_port", 9000),
    ("VOLTICK_API_PORT", "\ufeff9000", "api_port", 9000),
    ("VOLTICK_SIMULATE_RATE_HZ", "1e3", "simulate_rate_hz", 1000.0),
    ("VOLTICK_PUBLISH_FEATURES", "FALSE", "publish_features", False),
    ("VOLTICK_PUBLISH_FEATURES", "no", "publish_features", False),
    ("VOLTICK_PUBLISH_FEATURES", "Off", "publish_features", False),
    ("VOLTICK_REPLAY_LOOP", "True", "replay_loop", True),
    ("VOLTICK_REPLAY_LOOP", "yes", "replay_loop", True),
    ("VOLTICK_REPLAY_LOOP", "1", "replay_loop", True),
    ("VOLTICK_REPLAY_LOOP", "on", "replay_loop", True),
    ("VOLTICK_LOG_LEVEL", "INFO", "log_level", "info"),
    ("VOLTICK_LOG_FORMAT", '"JSON"', "log_format", "json"),
    ("VOLTICK_FEED", "Simulate", "feed", "simulate"),
    ("VOLTICK_SYMBOLS", '["BTC-USD", "SOL-USD"]', "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "['BTC-USD','SOL-USD']", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "[BTC-USD, SOL-USD]", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "- BTC-USD\n- SOL-USD\n", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "BTC-USD SOL-USD", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "BTC-USD,\n  SOL-USD\n", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "btc-usd", "symbols", ("BTC-USD",)),
    ("VOLTICK_SYMBOLS", '"BTC-USD","SOL-USD"', "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "'BTC-USD', 'SOL-USD'", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "'BTC-USD'", "symbols", ("BTC-USD",)),
    ("VOLTICK_API_HOST", "[::]", "api_host", "::"),
    ("VOLTICK_API_HOST", "localhost", "api_host", "localhost"),
    ("KAFKA_BOOTSTRAP_SERVERS", '"a:1","b:2"', "kafka_bootstrap_servers", "a:1,b:2"),
    ("VOLTICK_SYMBOLS", "BTC/USD", "symbols", ("BTC/USD",)),
    ("VOLTICK_ALLOWED_SYMBOLS", "[]", "allowed_symbols", ()),
    ("VOLTICK_ALLOWED_SYMBOLS", "abc", "allowed_symbols", ("abc",)),
    ("KAFKA_BOOTSTRAP_SERVERS", "a:1, b:2", "kafka_bootstrap_servers", "a:1,b:2"),
    ("KAFKA_BOOTSTRAP_SERVERS", '["a:1","b:2"]', "kafka_bootstrap_servers", "a:1,b:2"),
    ("KAFKA_BOOTSTRAP_SERVERS", "[::1]:9092", "kafka_bootstrap_servers", "[::1]:9092"),
    ("KAFKA_BOOTSTRAP_SERVERS", "[::1]", "kafka_bootstrap_servers", "[::1]"),
    ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl", "kafka_security_protocol", "SASL_SSL"),
    ("KAFKA_SASL_MECHANISM", "scram-sha-256", "kafka_sasl_mechanism", "SCRAM-SHA-256"),
    ("VOLTICK_MODEL_STORE", '"/data/models"', "model_store", Path("/data/models")),
]
REFUSED = [
    ("VOLTICK_COMMIT_INTERVAL_MS", "100ms", "milliseconds: write the number alone"),
    ("VOLTICK_STALE_AFTER_S", "30s", "seconds: write the number alone"),
    ("VOLTICK_EMBEDDED_MEMORY_MB", "4GB", "MB: write the number alone"),
    ("VOLTICK_API_PORT", "8000 # the port", "a line of its own"),
    ("VOLTICK_API_PORT", "80.5", "an integer such as 8000"),
    ("VOLTICK_API_PORT", "1,000", "an integer such as 8000"),
    ("VOLTICK_API_PORT", "", "remove the variable"),
    ("VOLTICK_API_PORT", '"8000', "an integer"),
    ("VOLTICK_REPLAY_LOOP", "maybe", "true or false"),
    ("VOLTICK_STALE_AFTER_S", "inf", "number"),
    ("VOLTICK_STALE_AFTER_S", "nan", "number"),
    ("VOLTICK_SYMBOLS", "BTC-USD;ETH-USD", "commas between"),
    ("VOLTICK_SYMBOLS", "BTC-USD ETH-USD, SOL-USD", "commas between"),
    ("VOLTICK_SYMBOLS", "BTC-USD # best", "commas between"),
    ("VOLTICK_TARGETS", "", "at least one"),
    ("VOLTICK_MODEL_STORE", "s3://bucket/models", "folder, not a URL"),
    ("VOLTICK_MODEL_STORE", "file:/data/models", "folder, not a URL"),
    ("VOLTICK_ARCHIVE", "s3:/bucket/ticks", "s3://BUCKET/PREFIX"),
    ("KAFKA_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092", "host:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "tcp://10.96.1.3:9092", "without what ends in ://"),
    ("KAFKA_BOOTSTRAP_SERVERS", "${BROKERS}", "nothing has put a value"),
    ("KAFKA_BOOTSTRAP_SERVERS", "<brokers>", "host:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "None", "writes for nothing"),
    ("KAFKA_BOOTSTRAP_SERVERS", "null", "writes for nothing"),
    ("VOLTICK_SYMBOLS", "undefined", "writes for nothing"),
    ("MODEL_VARIANT", "<nil>", "writes for nothing"),
    ("KAFKA_BOOTSTRAP_SERVERS", "a\u200b:9092", "host:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "a:\uff19\uff10", "host:port"),
    ("KAFKA_SSL_CA_LOCATION", "x" * 9_000, "no readable file"),
    ("VOLTICK_LOG_LEVEL", "x" * 9_000, "'info'"),
    ("VOLTICK_GROUP", "$(GROUP)", "nothing has put a value"),
    ("VOLTICK_GROUP", "{{ .Values.group }}", "nothing has put a value"),
    ("VOLTICK_API_PORT", "<no value>", "nothing has put a value"),
    ("VOLTICK_MODEL_STORE", "$HOME/models", "nothing has put a value"),
    ("VOLTICK_MODEL_STORE", "", "the working folder is written as ."),
    ("VOLTICK_ARCHIVE", " ", "the working folder is written as ."),
    ("VOLTICK_MODEL_STORE", "/data\x00/models", "control characters"),
    ("VOLTICK_SYMBOLS", "\u201cBTC-USD\u201d", "commas between"),
    ("VOLTICK_SYMBOLS", "BTC\u2013USD", "commas between"),
    ("VOLTICK_SYMBOLS", "BTC\u200b-USD", "commas between"),
    ("VOLTICK_SYMBOLS", "BTC-USD\x00", "commas between"),
    ("VOLTICK_API_HOST", "", "127.0.0.1 for this machine alone"),
    ("VOLTICK_API_HOST", "http://0.0.0.0", "without scheme and port"),
    ("VOLTICK_API_HOST", "0.0.0.0:8000", "without scheme and port"),
    ("VOLTICK_FEED_URL", "wss://feed.example/#x", "no #"),
    ("VOLTICK_FEED_URL", "wss://feed. example/", "no blanks"),
    ("VOLTICK_LIVE_FROM_NS", "soon", "write an integer"),
    ("VOLTICK_TARGETS", "volatility-spike", "small letters, digits and _"),
    ("VOLTICK_TARGETS", "VOLATILITY_SPIKE", "small letters, digits and _"),
    ("MODEL_VERSION", "latest", "write name@version"),
    ("MODEL_VERSION", "volatility_spike", "write name@version"),
    ("VOLTICK_LOG_LEVEL", "info # loud", "a line of its own"),
]


def numbered(rows: list[tuple[Any, ...]]) -> list[str]:
    """Return an id for each row: values may hold bytes that no name of a test may."""
    return [f"{row[0]}-{number}" for number, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "value", "field", "meant"), MEANT, ids=numbered(MEANT))
def test_a_value_is_taken_as_it_is_meant(name: str, value: str, field: str, meant: object) -> None:
    assert getattr(load_settings({name: value}), field) == meant


@pytest.mark.parametrize(("name", "value", "cure"), REFUSED, ids=numbered(REFUSED))
def test_a_value_that_cannot_be_meant_is_refused_with_the_cure(
    name: str, value: str, cure: str
) -> None:
    said = refused({name: value})
    assert said.startswith(f"{name}=")
    assert cure in said
    assert len(said) < 1_000


@pytest.mark.parametrize(
    "option",
    [
        *("unknown=1", "ssl_cert_reqs=none", "decode_responses=true", "max_connections=1"),
        *("ssl=true", "sslmode=require", "protocol=3", "timeout=5", "DB=1", "db=1&db=2"),
    ],
)
def test_options_of_another_redis_client_are_refused(option: str) -> None:
    said = refused({"REDIS_URL": f"redis://:hunter2@127.0.0.1:1/0?{option}"})
    assert said.startswith("REDIS_URL is unusable: ")
    assert "options are db," in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("db=one", "number"),
        ("socket_timeout=5s", "seconds"),
        ("socket_timeout=0", "above 0"),
        ("socket_connect_timeout=nan", "seconds"),
        ("health_check_interval=1.5", "whole"),
        ("socket_keepalive=maybe", "true or false"),
        ("client_name=two words", "blanks"),
        ("ssl_cert_reqs=CERT_NONE", "none, optional or required"),
        ("ssl_check_hostname=never", "true or false"),
        ("ssl_ca_certs=/nowhere/ca.pem", "file"),
    ],
)
def test_an_option_that_the_redis_client_would_misread_is_named(option: str, meant: str) -> None:
    said = refused({"REDIS_URL": f"rediss://:hunter2@127.0.0.1:1/0?{option}"})
    assert f"its option {option.partition('=')[0]} takes" in said
    assert meant in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("redis://:hunter2@cache/zero", "number of the database"),
        ("redis://:hunter2@cache/-1", "number of the database"),
        ("redis://:hunter2@cache/0/1", "number of the database"),
        ("redis://:hunter2@cache/0#1", "number of the database"),
        ("redis://:hunter2@:6379/0", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://${REDIS_HOST}:6379/0", "host or port cannot be read"),
        ("redis://:hunter2@a:1,b:2/0", "host or port cannot be read"),
        ("redis+sentinel://:hunter2@cache:26379/mymaster", "starts with redis://"),
        ("tcp://10.96.1.4:6379", "starts with redis://"),
    ],
)
def test_an_address_that_the_redis_client_would_misread_is_refused(url: str, cure: str) -> None:
    said = refused({"REDIS_URL": url})
    assert said.startswith("REDIS_URL is unusable: ")
    assert cure in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://cache:6379/",
        "redis://user:p%40ss@cache:6379/2?socket_timeout=2.5&retry_on_timeout=true",
        "rediss://[::1]:6380/0?ssl_cert_reqs=none&ssl_check_hostname=False",
        "unix:///run/valkey.sock?db=2",
    ],
)
def test_an_address_that_the_redis_client_reads_is_taken(url: str) -> None:
    taken = load_settings({"REDIS_URL": url}).redis_url
    assert taken is not None
    assert taken.get_secret_value() == url


@pytest.mark.parametrize(
    "value",
    ["hunter2\n", " hunter2 ", '"hunter2"', "'hunter2'\r\n"],
    ids=["newline", "blanks", "quotes", "quotes-and-newline"],
)
@pytest.mark.parametrize("name", ["KAFKA_SASL_PASSWORD", "VOLTICK_API_TOKEN"])
def test_a_secret_loses_what_a_tool_has_added(name: str, value: str) -> None:
    settings = load_settings({name: value})
    secret = settings.kafka_sasl_password if name.startswith("KAFKA") else settings.api_token
    assert secret is not None
    assert secret.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    "token", ["hünter2", "two words", "tab\there"], ids=["umlaut", "blank", "tab"]
)
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    said = refused({"VOLTICK_API_TOKEN": token})
    assert said.startswith("VOLTICK_API_TOKEN is unusable")
    assert token not in said


@example("undefined")
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_password_of_any_kind_reaches_another_process(password: str) -> None:
    meant = plain_text("", password)
    assert plain_text("", protected_text(meant)) == meant
    settings = Settings().replace(kafka_sasl_password=meant) if meant.strip() else Settings()
    assert load_settings(settings.to_env()) == settings


@pytest.mark.parametrize(
    "name", ["voltick_api_port", "Voltick_Api_Port", "kafka_bootstrap_servers", "redis_url"]
)
def test_a_setting_in_lower_case_is_not_passed_over(name: str) -> None:
    assert f"write {name.upper()} in capitals" in refused({name: "9000"})


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(" VOLTICK_API_PORT", id="blank-before"),
        pytest.param("VOLTICK_API_PORT ", id="blank-behind"),
        pytest.param("\ufeffVOLTICK_API_PORT", id="byte-order-mark"),
        pytest.param("$env:VOLTICK_API_PORT", id="powershell"),
        pytest.param("VOLTICK-API-PORT", id="dashes"),
        pytest.param("voltick.api.port", id="dots"),
        pytest.param("VOLTICK_API_PORT:", id="colon"),
    ],
)
def test_a_setting_whose_name_came_with_something_is_not_passed_over(name: str) -> None:
    assert "is not read; write VOLTICK_API_PORT" in refused({name: "9000"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("kafka_url", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_SASL_MECHANISMS", "KAFKA_SASL_MECHANISM"),
        ("REDIS_URI", "REDIS_URL"),
    ],
)
def test_another_programs_name_is_refused_where_the_setting_is_not_there(
    name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passed over, it would let an all-in-one run begin with made-up data."""
    assert refused({name: "hunter2"}) == f"{name} is not read; write {meant}, or remove it"
    value = "redis://cache/0" if meant == "REDIS_URL" else "x:1"
    assert load_settings({name: "hunter2", meant: value}) == load_settings({meant: value})
    (tmp_path / ".env").write_text(f"{name}=hunter2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(meant, raising=False)
    with pytest.raises(ConfigurationError, match=f"write {meant}"):
        load_settings()


def test_variables_of_kafkas_own_programs_are_none_of_our_business() -> None:
    own = {
        "KAFKA_OPTS": "-X",
        "KAFKA_HEAP_OPTS": "-X",
        "KAFKA_LOG_DIRS": "/x",
        "REDIS_VERSION": "8",
    }
    assert load_settings(own) == Settings()


def test_a_value_that_is_not_utf8_is_refused() -> None:
    said = refused({"KAFKA_SASL_PASSWORD": b"p\xe4ss".decode(errors="surrogateescape")})
    assert said.startswith("KAFKA_SASL_PASSWORD")
    assert "UTF-8" in said


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    given = load_settings({"VOLTICK_API_TOKEN_FILE": str(tmp_path / "token")})
    assert given.api_token is not None
    assert given.api_token.get_secret_value() == "hunter2"
    assert load_settings({"VOLTICK_API_TOKEN_FILE": ""}) == Settings()


def test_a_secrets_file_that_does_not_work_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    said = refused({"KAFKA_SASL_PASSWORD_FILE": str(missing)})
    assert said.startswith(f"KAFKA_SASL_PASSWORD_FILE='{missing}' cannot be read: No such file")
    missing.write_bytes(b"\xff")
    assert "not UTF-8" in refused({"KAFKA_SASL_PASSWORD_FILE": str(missing)})
    for content, cause in ((b"", "empty"), (b" \r\n", "empty"), (b"x\ny\n", "one line")):
        missing.write_bytes(content)
        assert cause in refused({"VOLTICK_API_TOKEN_FILE": str(missing)})
    for path in ("a\0b", "x" * 5_000):
        assert "cannot be read" in refused({"VOLTICK_API_TOKEN_FILE": path})
    both = {"KAFKA_SASL_PASSWORD_FILE": str(missing), "KAFKA_SASL_PASSWORD": "x"}
    assert "both set" in refused(both)


def test_only_secrets_come_from_files() -> None:
    assert "VOLTICK_API_PORT_FILE" in refused({"VOLTICK_API_PORT_FILE": "/x"})
