"""HTML pages from this package's templates; nothing is loaded from the network."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from training.reporting.plots import Plot


def render(template: str, **values: Any) -> str:
    """Return a template filled with values; an undefined one is an error."""
    return _environment().get_template(template).render(**values)


def embedded(plots: Sequence[Plot]) -> list[dict[str, str]]:
    """Return captions and PNGs as base64, for images inside a page."""
    return [{"caption": one.caption, "png": base64.b64encode(one.png).decode()} for one in plots]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("training.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
