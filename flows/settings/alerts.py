"""Settings of the alerts about spikes: where they go, and how many."""

from pydantic import BaseModel, Field

from flows.settings.types import ReadableFile, SecretUrl


class AlertSettings(BaseModel):
    """``flows.alerts``."""

    alerts_url: SecretUrl | None = Field(
        None,
        alias="VOLTICK_ALERTS_URL",
        description="Webhook that `flows.alerts` posts to; never logged, since it is a secret.",
    )
    alerts_template: ReadableFile | None = Field(
        None,
        alias="VOLTICK_ALERTS_TEMPLATE",
        description="File with a Jinja template of the posted JSON; unset: text and blocks as Slack"
        " takes them.",
    )
    alerts_cooldown_s: float = Field(
        300.0,
        alias="VOLTICK_ALERTS_COOLDOWN_S",
        ge=0,
        allow_inf_nan=False,
        description="Event time after an alert for which its symbol and target give no other one.",
    )
    alerts_per_minute: int = Field(
        20,
        alias="VOLTICK_ALERTS_PER_MINUTE",
        ge=1,
        le=1_000,
        description="Most alerts that are posted in a minute; the newest wait, then the oldest go.",
    )
