"""Settings as shells, files and deployment tools deliver them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
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
    ("VOLTICK_SYMBOLS", "BTC-USD SOL-USD", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "BTC-USD,\n  SOL-USD\n", "symbols", ("BTC-USD", "SOL-USD")),
    ("VOLTICK_SYMBOLS", "btc-usd", "symbols", ("BTC-USD",)),
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
    ("KAFKA_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092", "host:port"),
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


@pytest.mark.parametrize(
    "option", ["unknown=1", "ssl_cert_reqs=none", "decode_responses=true", "max_connections=1"]
)
def test_options_of_another_redis_client_are_refused(option: str) -> None:
    said = refused({"REDIS_URL": f"redis://:hunter2@127.0.0.1:1/0?{option}"})
    assert said.startswith("REDIS_URL is unusable: ")
    assert "options are db," in said
    assert "hunter2" not in said


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
    both = {"KAFKA_SASL_PASSWORD_FILE": str(missing), "KAFKA_SASL_PASSWORD": "x"}
    assert "both set" in refused(both)


def test_only_secrets_come_from_files() -> None:
    assert "VOLTICK_API_PORT_FILE" in refused({"VOLTICK_API_PORT_FILE": "/x"})
