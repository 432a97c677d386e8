"""Settings of the processes around the dataflow: all-in-one runs, API and logs."""

from typing import Literal

from pydantic import BaseModel, Field

from flows.settings.types import Host, HostNames, Networks, Origins, RootPath, Token


class OperationSettings(BaseModel):
    """All-in-one runs, API and logs."""

    embedded_memory_mb: int = Field(
        4096,
        alias="VOLTICK_EMBEDDED_MEMORY_MB",
        ge=64,
        description="The embedded broker never forgets: at this size the all-in-one run ends.",
    )
    embedded_broker_pid: int | None = Field(
        None,
        alias="VOLTICK_EMBEDDED_BROKER_PID",
        ge=1,
        description="All-in-one runs set it: the process of the embedded broker, whose memory the"
        " pipeline's metrics show.",
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
        allow_inf_nan=False,
        description="A score older than this is reported as stale, and `/health` fails.",
    )
    history_length: int = Field(
        3000,
        alias="VOLTICK_HISTORY_LENGTH",
        ge=1,
        le=1_000_000,
        description="Points kept per symbol for history; a quarter as many, ten seconds apart,"
        " reach further back.",
    )
    symbol_ttl_s: int = Field(
        86_400,
        alias="VOLTICK_SYMBOL_TTL_S",
        ge=60,
        description="Seconds after its last score at which a symbol leaves Redis, and with it the"
        " API and its metrics.",
    )
    api_host: Host = Field(
        "127.0.0.1", alias="VOLTICK_API_HOST", description="Address the API listens on."
    )
    api_port: int = Field(
        8000, alias="VOLTICK_API_PORT", ge=1, le=65535, description="Port the API listens on."
    )
    api_token: Token | None = Field(
        None,
        alias="VOLTICK_API_TOKEN",
        description="Bearer token for requests that change state; unset: they are refused.",
    )
    api_root_path: RootPath = Field(
        "",
        alias="VOLTICK_API_ROOT_PATH",
        description="Path under which a proxy publishes the API, such as `/voltick`.",
    )
    trusted_proxies: Networks = Field(
        (),
        alias="VOLTICK_TRUSTED_PROXIES",
        description="Addresses or networks of proxies whose `X-Forwarded-For`, `-Proto` and"
        " `-Prefix` the API believes, comma-separated; `*` for all.",
    )
    cors_origins: Origins = Field(
        (),
        alias="VOLTICK_API_CORS_ORIGINS",
        description="Origins whose pages may read the API from a browser, such as"
        " `https://desk.example.com`, comma-separated; `*` for all; unset: none but its own page.",
    )
    allowed_hosts: HostNames = Field(
        (),
        alias="VOLTICK_ALLOWED_HOSTS",
        description="Names by which API and metrics ports may be asked, such as"
        " `desk.example.com` or `*.example.com`, comma-separated, beside addresses and names"
        " without a dot; `*` for all. Unset: no others on loopback, unless a proxy is trusted; all"
        " elsewhere.",
    )
    log_format: Literal["console", "json"] = Field(
        "console", alias="VOLTICK_LOG_FORMAT", description="`console` (key=value) or `json`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="VOLTICK_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`."
    )
