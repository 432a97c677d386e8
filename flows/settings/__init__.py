"""One frozen settings object, read once at start from the environment or ``.env``.

Every field is a row of the README's table. Packages below the runnable flows never import this
module: they are passed the values they need.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flows.errors import ConfigurationError
from flows.settings.types import (
    Brokers,
    FeedSpec,
    Names,
    ReadableFile,
    RedisUrl,
    ReplaySpeed,
    SecurityProtocol,
    SomeNames,
    WebSocketUrl,
    plain_value,
)
from schemas.feeds import FeedName

KAFKA_PASSTHROUGH = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "ssl.certificate.location",
    "KAFKA_SSL_KEY_LOCATION": "ssl.key.location",
    "KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}

# The test suite's own variables share the prefix and are none of the product's business.
FOREIGN_PREFIX = "VOLTICK_TEST_"


class Settings(BaseSettings):
    """What an operator can set; the description of each field is its documentation.

    Constructing it reads nothing: :func:`load_settings` looks at the environment.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=False,
        hide_input_in_errors=True,  # it may be a password
    )

    kafka_bootstrap_servers: Brokers | None = Field(
        None,
        alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, `host:port,...`. Unset: an embedded broker is started.",
    )
    kafka_security_protocol: SecurityProtocol | None = Field(
        None, alias="KAFKA_SECURITY_PROTOCOL", description="`PLAINTEXT`, `SSL`, `SASL_SSL`, ..."
    )
    kafka_sasl_mechanism: str | None = Field(
        None, alias="KAFKA_SASL_MECHANISM", description="`PLAIN`, `SCRAM-SHA-256`, ..."
    )
    kafka_sasl_username: str | None = Field(
        None, alias="KAFKA_SASL_USERNAME", description="SASL user."
    )
    kafka_sasl_password: SecretStr | None = Field(
        None, alias="KAFKA_SASL_PASSWORD", description="SASL password; never logged."
    )
    kafka_ssl_ca_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_CA_LOCATION", description="CA certificate file."
    )
    kafka_ssl_certificate_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_CERTIFICATE_LOCATION", description="Client certificate file."
    )
    kafka_ssl_key_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_KEY_LOCATION", description="Client key file."
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, alias="KAFKA_SSL_KEY_PASSWORD", description="Client key's password; never logged."
    )
    redis_url: RedisUrl | None = Field(
        None,
        alias="REDIS_URL",
        description="`redis://` or `rediss://` URL. Unset: all-in-one runs start an embedded"
        " Valkey; a flow by itself shows its scores nowhere but on Kafka.",
    )
    model_variant: str | None = Field(
        None,
        alias="MODEL_VARIANT",
        description="Serve the newest model of this variant instead of the champion.",
    )
    model_version: str | None = Field(
        None, alias="MODEL_VERSION", description="Serve exactly this `name@version`."
    )
    model_store: Path = Field(
        Path(".voltick/models"),
        alias="VOLTICK_MODEL_STORE",
        description="Folder of the model store.",
    )
    targets: SomeNames = Field(
        ("volatility_spike", "forward_return"),
        alias="VOLTICK_TARGETS",
        description="Targets to score, comma-separated; one without a champion is left out.",
    )
    feed: FeedSpec = Field(
        FeedName.AUTO.value,
        alias="VOLTICK_FEED",
        description="`auto` (live Coinbase, else the simulator), `coinbase-exchange`, `simulate`"
        " or `replay:FILE`.",
    )
    feed_url: WebSocketUrl | None = Field(
        None, alias="VOLTICK_FEED_URL", description="Another WebSocket address for the live feed."
    )
    symbols: SomeNames = Field(
        ("BTC-USD", "ETH-USD"),
        alias="VOLTICK_SYMBOLS",
        description="Symbols a live or simulated feed asks for, comma-separated.",
    )
    allowed_symbols: Names = Field(
        (),
        alias="VOLTICK_ALLOWED_SYMBOLS",
        description="If set, ticks of other symbols are dead-lettered.",
    )
    replay_speed: ReplaySpeed = Field(
        "1",
        alias="VOLTICK_REPLAY_SPEED",
        description="Replays: 1 keeps the recorded spacing, N divides it, `max` waits for nothing.",
    )
    replay_loop: bool = Field(
        False,
        alias="VOLTICK_REPLAY_LOOP",
        description="Replays: start over at the end, with shifted times and ids.",
    )
    simulate_rate_hz: float = Field(
        50.0,
        alias="VOLTICK_SIMULATE_RATE_HZ",
        gt=0,
        le=1_000_000,
        description="Simulated ticks per second, all symbols together.",
    )
    simulate_seed: int = Field(
        7, alias="VOLTICK_SIMULATE_SEED", ge=0, description="Seed of the simulator."
    )
    feed_spacing_us: float = Field(
        0.0,
        alias="VOLTICK_FEED_SPACING_US",
        ge=0,
        le=1_000,
        description="The feed waits so long after a batch, times the batches before it. All-in-one"
        " runs set 20 for the embedded broker, which looks at all it holds for each new one.",
    )
    partitions: int = Field(
        4,
        alias="VOLTICK_PARTITIONS",
        ge=1,
        le=1024,
        description="Partitions of the topics that Voltick creates.",
    )
    replication_factor: int = Field(
        1,
        alias="VOLTICK_REPLICATION_FACTOR",
        ge=1,
        le=16,
        description="Replicas of the topics that Voltick creates.",
    )
    group: str = Field(
        "voltick",
        alias="VOLTICK_GROUP",
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Consumer group; with the partition it names the transactional producer.",
    )
    publish_features: bool = Field(
        True, alias="VOLTICK_PUBLISH_FEATURES", description="Also write `ticks.features`."
    )
    batch_size: int = Field(
        4096,
        alias="VOLTICK_BATCH_SIZE",
        ge=1,
        le=100_000,
        description="Most messages in one batch.",
    )
    commit_interval_ms: int = Field(
        100,
        alias="VOLTICK_COMMIT_INTERVAL_MS",
        ge=1,
        le=10_000,
        description="Longest time a transaction stays open under backlog.",
    )
    transaction_timeout_ms: int = Field(
        60_000,
        alias="VOLTICK_TRANSACTION_TIMEOUT_MS",
        ge=1_000,
        le=900_000,
        description="After this the broker aborts a transaction whose owner fell silent.",
    )
    accept_state_loss: bool = Field(
        False,
        alias="VOLTICK_ACCEPT_STATE_LOSS",
        description="Go on where the log was trimmed or recreated below the committed offset.",
    )
    embedded_memory_mb: int = Field(
        4096,
        alias="VOLTICK_EMBEDDED_MEMORY_MB",
        ge=64,
        description="The embedded broker never forgets: at this size the all-in-one run ends.",
    )
    train_at_start: bool = Field(
        True,
        alias="VOLTICK_TRAIN_AT_START",
        description="All-in-one runs train models in the background: at once on simulated history"
        " where the feed is simulated, else as soon as the collected ticks suffice.",
    )
    stale_after_s: float = Field(
        30.0,
        alias="VOLTICK_STALE_AFTER_S",
        gt=0,
        description="A score older than this is reported as stale, and `/health` fails.",
    )
    history_length: int = Field(
        3000,
        alias="VOLTICK_HISTORY_LENGTH",
        ge=1,
        le=1_000_000,
        description="Points kept per symbol for history.",
    )
    api_host: str = Field(
        "127.0.0.1", alias="VOLTICK_API_HOST", description="Address the API listens on."
    )
    api_port: int = Field(
        8000, alias="VOLTICK_API_PORT", ge=1, le=65535, description="Port the API listens on."
    )
    api_token: SecretStr | None = Field(
        None,
        alias="VOLTICK_API_TOKEN",
        description="Bearer token for requests that change state; unset: they are refused.",
    )
    metrics_port: int = Field(
        0,
        alias="VOLTICK_METRICS_PORT",
        ge=0,
        le=65535,
        description="Port on 127.0.0.1 where the pipeline answers Prometheus; 0 for none.",
    )
    log_format: Literal["console", "json"] = Field(
        "console", alias="VOLTICK_LOG_FORMAT", description="`console` (key=value) or `json`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="VOLTICK_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings names them)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone, so that a test's settings are all it names."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: object, info: Any) -> object:
        # NAME= in a compose file means "not set", where a setting can be unset at all.
        if isinstance(value, str) and not value.strip():
            field = cls.model_fields[info.field_name]
            return None if field.default is None else value.strip()
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.model_variant is not None and self.model_version is not None:
            message = "MODEL_VARIANT and MODEL_VERSION are both set; pin by one of them"
            raise ValueError(message)
        commit_ms, transaction_ms = self.commit_interval_ms, self.transaction_timeout_ms
        if commit_ms >= transaction_ms:
            names = "VOLTICK_COMMIT_INTERVAL_MS={} must be below VOLTICK_TRANSACTION_TIMEOUT_MS={}"
            raise ValueError(names.format(commit_ms, transaction_ms))
        return self

    def kafka_config(self) -> dict[str, str | int]:
        """Return what every librdkafka client needs: the brokers and the security settings.

        Raises
        ------
        ConfigurationError
            No broker is set.
        """
        if self.kafka_bootstrap_servers is None:
            message = "KAFKA_BOOTSTRAP_SERVERS is not set; name the brokers as host:port,..."
            raise ConfigurationError(message)
        config: dict[str, str | int] = {"bootstrap.servers": self.kafka_bootstrap_servers}
        for name, option in KAFKA_PASSTHROUGH.items():
            value = getattr(self, name.lower())
            if value is not None:
                config[option] = plain_value(value)
        return config

    def to_env(self) -> dict[str, str]:
        """Return the environment in which another process loads the same settings."""
        values = {variable: getattr(self, name) for name, variable in variables(type(self)).items()}
        return {name: "" if value is None else plain_value(value) for name, value in values.items()}

    def replace(self, **changes: object) -> "Settings":
        """Return a validated copy with some fields changed.

        Raises
        ------
        ConfigurationError
            A value is unusable; it is named by its variable.
        """
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return _build({**current, **changes})


def variables(settings_cls: type[Settings] = Settings) -> dict[str, str]:
    """Return field name -> environment variable, in the table's order."""
    return {name: str(info.alias) for name, info in settings_cls.model_fields.items()}


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Parameters
    ----------
    env
        Variables to read instead of the process's environment over the folder's ``.env``.

    Raises
    ------
    ConfigurationError
        A ``VOLTICK_*`` variable is unknown or a value unusable; the message names both.
    """
    if env is None:
        stored = {k: v for k, v in dotenv_values(".env").items() if v is not None}
        env = {**stored, **os.environ}
    known = set(variables().values())
    _refuse_unknown(env, known)
    return _build({name: value for name, value in env.items() if name in known})


def _build(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = "; ".join(_explain(dict(item)) for item in error.errors(include_url=False))
        raise ConfigurationError(problems) from None


def _refuse_unknown(names: Iterable[str], known: set[str]) -> None:
    for name in sorted(names):
        if (
            name.startswith("VOLTICK_")
            and name not in known
            and not name.startswith(FOREIGN_PREFIX)
        ):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see the settings table in README.md"
            message = f"{name} is not a setting of Voltick; {hint}"
            raise ConfigurationError(message)


def _explain(item: dict[str, Any]) -> str:
    """Turn one pydantic error into "NAME='value' is unusable: reason"."""
    reason = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return reason
    key = str(item["loc"][0])
    fields = Settings.model_fields
    name = key if key in fields else next((n for n, v in variables().items() if v == key), key)
    info = fields.get(name)
    shown = "" if info is None or _is_secret(info) else f"={item['input']!r}"
    return f"{variables().get(name, key)}{shown} is unusable: {reason}"


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)
