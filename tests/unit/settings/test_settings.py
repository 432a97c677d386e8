"""What the settings accept, refuse and say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import ConfigurationError
from flows.settings import Settings, load_settings, variables


def test_defaults_start_everything_embedded() -> None:
    settings = load_settings({})
    assert settings.kafka_bootstrap_servers is None
    assert settings.redis_url is None
    assert settings.feed == "auto"
    assert settings == Settings()


def test_constructing_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTICK_API_PORT", "9")
    assert Settings().api_port == 8000


def test_the_environment_wins_over_the_folders_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    (tmp_path / ".env").write_text("VOLTICK_API_PORT=9001\nVOLTICK_GROUP=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOLTICK_API_PORT", "9002")
    settings = load_settings()
    assert (settings.api_port, settings.group) == (9002, "from-file")


def test_lists_are_comma_separated() -> None:
    settings = load_settings({"VOLTICK_SYMBOLS": "BTC-USD, SOL-USD", "VOLTICK_ALLOWED_SYMBOLS": ""})
    assert settings.symbols == ("BTC-USD", "SOL-USD")
    assert settings.allowed_symbols == ()


@pytest.mark.parametrize(
    ("value", "symbols"),
    [
        ("", set()),
        ("BTC-USD", {"BTC-USD"}),
        ("btc-usd", {"btc-usd", "BTC-USD"}),
        ("Btc/Usd, ETH-USD", {"Btc/Usd", "BTC-USD", "ETH-USD"}),
        ("binance:btc-usdt", {"binance:btc-usdt", "BTC-USDT"}),
        ("Coinbase-Exchange:ETH-USD", {"Coinbase-Exchange:ETH-USD", "ETH-USD"}),
        ("other:ETH-USD", {"other:ETH-USD", "OTHER:ETH-USD"}),
    ],
)
def test_a_symbol_is_allowed_as_it_is_named_and_as_feeds_write_it(
    value: str, symbols: set[str]
) -> None:
    settings = load_settings({"VOLTICK_ALLOWED_SYMBOLS": value})
    assert settings.allowed == symbols
    assert load_settings(settings.to_env()) == settings


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "VOLTICK_API_TOKEN"])
def test_blank_means_unset_where_unset_is_possible(name: str) -> None:
    assert load_settings({name: "  "}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:99999", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://a:1", "host:port"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "SASL_SSL"),
        ("KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem", "readable file"),
        ("VOLTICK_FEED", "kraken", "coinbase-exchange"),
        ("VOLTICK_FEED", "replay:", "replay:PATH"),
        ("VOLTICK_FEED_URL", "http://x", "ws://"),
        ("VOLTICK_FEED_URL", "ws://", "has a host"),
        ("VOLTICK_FEED_URL", "ws://[::1", "has a host"),
        ("VOLTICK_FEED_URL", "ws://127.0.0.1:99999/", "a port from 1 to 65535"),
        ("VOLTICK_BINANCE_REST_URL", "ws://x", "http://"),
        ("VOLTICK_BINANCE_REST_URL", "https://", "has a host"),
        ("VOLTICK_BINANCE_REST_URL", "https://x/?a=b", "nothing after it"),
        ("VOLTICK_API_PORT", "0", "greater than or equal to 1"),
        ("VOLTICK_API_PORT", "eight", "integer"),
        ("VOLTICK_API_PORT", "", "integer"),
        ("VOLTICK_LOG_LEVEL", "loud", "'info'"),
        ("VOLTICK_REPLAY_SPEED", "-1", "above 0"),
        ("VOLTICK_REPLAY_SPEED", "nan", "above 0"),
        ("VOLTICK_SYMBOLS", "", "at least one"),
        ("VOLTICK_SYMBOLS", "BTC-USD,,ETH-USD", "empty"),
        ("VOLTICK_SYMBOLS", "BTC-USD,BTC-USD", "twice"),
        ("VOLTICK_GROUP", "a b", "pattern"),
        ("VOLTICK_SIMULATE_RATE_HZ", "inf", "less than or equal"),
    ],
)
def test_an_unusable_value_is_named_with_its_variable(name: str, value: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({name: value})
    assert f"{name}={value!r} is unusable" in str(caught.value)
    assert hint in str(caught.value)


def test_a_secret_is_not_shown_when_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"REDIS_URL": "http://user:hunter2@host"})
    assert "REDIS_URL is unusable" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"VOLTICK_SYMBOL is not.*VOLTICK_SYMBOLS"):
        load_settings({"VOLTICK_SYMBOL": "BTC-USD"})


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert load_settings({"PATH": "/bin", "VOLTICK_TEST_CACHE": "x"}) == Settings()


def test_two_pins_contradict() -> None:
    with pytest.raises(ConfigurationError, match="MODEL_VARIANT and MODEL_VERSION"):
        load_settings({"MODEL_VARIANT": "gbt", "MODEL_VERSION": "spike@20261121T094500Z-ab12cd34"})


def test_security_settings_pass_through_to_librdkafka() -> None:
    settings = load_settings(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "a:9092,b:9093",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_PASSWORD": "hunter2",
        }
    )
    assert settings.kafka_config() == {
        "bootstrap.servers": "a:9092,b:9093",
        "security.protocol": "SASL_SSL",
        "sasl.password": "hunter2",
    }
    assert "hunter2" not in repr(settings)


def test_kafka_config_needs_a_broker() -> None:
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
        Settings().kafka_config()


def test_replace_checks_what_it_changes() -> None:
    assert Settings().replace(api_port=9000).api_port == 9000
    with pytest.raises(ConfigurationError, match="VOLTICK_API_PORT=0 is unusable"):
        Settings().replace(api_port=0)


@given(
    port=st.integers(1, 65535),
    symbols=st.lists(st.from_regex(r"[A-Z]{2,5}-USD", fullmatch=True), min_size=1, unique=True),
    flag=st.booleans(),
    rate=st.floats(0.001, 1e6),
    token=st.none() | st.from_regex(r"[a-z]{1,8}", fullmatch=True),
)
def test_another_process_loads_the_same_settings(
    port: int, symbols: list[str], flag: bool, rate: float, token: str | None
) -> None:
    settings = Settings().replace(
        api_port=port,
        symbols=tuple(symbols),
        publish_features=flag,
        simulate_rate_hz=rate,
        api_token=token,
    )
    assert load_settings(settings.to_env()) == settings


def test_variables_are_unique_and_described() -> None:
    names = list(variables().values())
    assert len(set(names)) == len(names)
    assert all(field.description for field in Settings.model_fields.values())


def test_a_transaction_must_outlast_the_time_between_commits() -> None:
    pair = {"VOLTICK_COMMIT_INTERVAL_MS": "2000", "VOLTICK_TRANSACTION_TIMEOUT_MS": "1500"}
    with pytest.raises(ConfigurationError, match="COMMIT_INTERVAL_MS=2000 must be below"):
        load_settings(pair)
