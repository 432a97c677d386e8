"""The JSON that is posted, from a Jinja template."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import msgspec
from jinja2.sandbox import SandboxedEnvironment

from flows.alerting.decide import Alert
from flows.errors import ConfigurationError
from flows.numeric.text import plain_number
from flows.numeric.time import NS_PER_S

SLACK = """
{%- set text = symbol ~ ": " ~ target ~ " expected, score " ~ "%.2f" | format(score) ~ ", price "
  ~ price | plain -%}
{
  "text": {{ text | tojson }},
  "blocks": [
    {"type": "section", "text": {"type": "mrkdwn", "text": {{ ("*" ~ text ~ "*") | tojson }}}},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": {{
      (venue ~ ", " ~ time ~ ", by " ~ model ~ ", offset " ~ partition ~ "-" ~ offset
       ~ (", " ~ suppressed ~ " more since the last alert" if suppressed else "")) | tojson }}}]}
  ]
}
"""

EXAMPLE = Alert(
    symbol='BTC-USD"',
    venue="coinbase",
    target="volatility_spike",
    score=0.5,
    model="volatility_spike-gbt@1",
    price=64_000.0,
    ts_event_ns=1_750_000_000 * NS_PER_S,
    ts_scored_ns=1_750_000_000 * NS_PER_S,
    partition=0,
    offset=1,
)
"""With a quotation mark in it: a template that forgets ``tojson`` fails at the start."""


# What expressions of a template raise: Jinja's own, and Python's for what they compute.
_FAILURES = (
    jinja2.TemplateError,
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


class MessageTemplate:
    """Renders alerts; a template can read the alert's fields and ``time``, and do nothing else.

    Beside Jinja's own filters there is ``plain``, which writes a price out
    (:func:`flows.numeric.text.plain_number`).

    Parameters
    ----------
    text
        The template.
    name
        For messages about errors.

    Raises
    ------
    ConfigurationError
        It cannot be read, or does not give JSON for an example.
    """

    def __init__(self, text: str = SLACK, name: str = "the built-in template") -> None:
        self._name = name
        environment = SandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # JSON, not HTML; proved with a quotation mark
        )
        environment.filters["plain"] = plain_number
        try:
            self._template = environment.from_string(text)
        except jinja2.TemplateError as error:
            message = f"{name} is no Jinja template: {error}"
            raise ConfigurationError(message) from None
        for held_back in (0, 3):  # a template may say it in a branch of its own
            self.render(msgspec.structs.replace(EXAMPLE, suppressed=held_back))

    @classmethod
    def of(cls, path: str | None) -> "MessageTemplate":
        """Return the template of a file, the built-in one for None.

        Raises
        ------
        ConfigurationError
            The file is not UTF-8, or see above.
        """
        if path is None:
            return cls()
        try:
            text = Path(path).read_text("utf-8")
        except UnicodeDecodeError as error:
            message = f"{path} is not UTF-8: {error}"
            raise ConfigurationError(message) from None
        return cls(text, path)

    def render(self, alert: Alert) -> bytes:
        """Return the body for an alert.

        Raises
        ------
        ConfigurationError
            The template fails, or what it gives is not JSON.
        """
        at = datetime.fromtimestamp(alert.ts_event_ns / NS_PER_S, UTC)
        fields = msgspec.structs.asdict(alert)
        try:
            text = self._template.render(**fields, time=f"{at:%Y-%m-%d %H:%M:%S} UTC")
            return json.dumps(json.loads(text)).encode()
        except _FAILURES as error:
            message = (
                f"{self._name} does not give JSON: {error}; write values as {{{{ x|tojson }}}}"
            )
            raise ConfigurationError(message) from None
