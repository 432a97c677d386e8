"""All settings together: one frozen object, checked as a whole."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import (
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from flows.errors import ConfigurationError
from flows.numeric.time import NS_PER_S
from flows.settings.alerts import AlertSettings
from flows.settings.archive import ArchiveSettings
from flows.settings.connections import KAFKA_PASSTHROUGH, ConnectionSettings
from flows.settings.dataflow import DataflowSettings
from flows.settings.environment import protected_text
from flows.settings.explain import NOTHING, UNEXPANDED, reason_of
from flows.settings.metrics import MetricsSettings
from flows.settings.operation import OperationSettings
from flows.settings.types import plain_value, whole_number
from schemas.feeds import REPLAY_PREFIX, written_symbol

_SHOWN = 300  # characters of each end of an error


# The fields of the last base come first: this is the order of the table in the documents.
class Settings(
    AlertSettings,
    MetricsSettings,
    OperationSettings,
    ArchiveSettings,
    DataflowSettings,
    ConnectionSettings,
):
    """What an operator can set; the description of each field is its documentation.

    Constructing it reads nothing: :func:`flows.settings.load_settings` reads the environment.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=False,
        hide_input_in_errors=True,  # it may be a password
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        field = cls.model_fields[str(info.field_name)]
        if not value.strip():
            # NAME= in a compose file means "not set", where a setting can be unset at all.
            return None if field.default is None else value.strip()
        is_word = value.lower() in get_args(field.annotation)
        if value in NOTHING and not is_word and not _is_secret(field):  # a password is any text
            message = "it is what a program writes for nothing; write the value, or remove it"
            raise ValueError(message)
        if not _is_secret(field) and UNEXPANDED.search(value):
            message = "it holds a variable in whose place nothing has put a value; write the value"
            raise ValueError(message)
        if field.annotation is int:
            return whole_number(value)
        if get_origin(field.annotation) is Literal:
            return value.strip().lower()
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

    @property
    def history_from_ns(self) -> int | None:
        """Event time at which the history begins that is sent at full speed; None for none."""
        if self.live_from_ns is None:
            return None
        history_s = self.replay_from_s if self.replays else self.simulate_history_s
        return self.live_from_ns - int(history_s * NS_PER_S)

    @property
    def replays(self) -> bool:
        """Whether the feed is a recording."""
        return self.feed.startswith(REPLAY_PREFIX)

    @property
    def allowed(self) -> frozenset[str]:
        """The symbols that ticks may have; empty where any will do."""
        written = {written_symbol(name) for name in self.allowed_symbols}
        return frozenset(written.union(self.allowed_symbols))

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
        return {
            name: "" if value is None else protected_text(plain_value(value))
            for name, value in values.items()
        }

    def replace(self, **changes: object) -> "Settings":
        """Return a validated copy with some fields changed.

        Raises
        ------
        ConfigurationError
            A value is unusable; it is named by its variable.
        """
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return build({**current, **changes})


def build(values: Mapping[str, Any]) -> Settings:
    """Return the settings made of these values, by field or by variable.

    Raises
    ------
    ConfigurationError
        A value is unusable; it is named by its variable.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = "; ".join(_explain(dict(item)) for item in error.errors(include_url=False))
        raise ConfigurationError(problems) from None


def variables(settings_cls: type[Settings] = Settings) -> dict[str, str]:
    """Return field name -> environment variable, in the table's order."""
    return {name: str(info.alias) for name, info in settings_cls.model_fields.items()}


def secret_variables() -> list[str]:
    """Return the variables whose values are never shown."""
    fields = Settings.model_fields.values()
    return [str(info.alias) for info in fields if _is_secret(info)]


def _explain(item: dict[str, Any]) -> str:
    """Turn one pydantic error into "NAME='value' is unusable: reason"."""
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    key = str(item["loc"][0])
    fields = Settings.model_fields
    name = key if key in fields else next((n for n, v in variables().items() if v == key), key)
    info = fields.get(name)
    variable = variables().get(name, key)
    shown = "" if info is None or _is_secret(info) else f"={item['input']!r}"
    reason = reason_of(item, variable, None if info is None else info.default)
    return _shortened(f"{variable}{shown} is unusable: {reason}")


def _shortened(line: str) -> str:
    """Return a line without its middle where it is too long to be read; the cure stands last."""
    return line if len(line) <= 2 * _SHOWN else f"{line[:_SHOWN]} ... {line[-_SHOWN:]}"


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)
