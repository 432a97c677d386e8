"""From a refused value to one line that names its variable and the cure."""

import re
from typing import Any

_NUMBER_WITH_UNIT = re.compile(r"[\d.,_]+\s*[A-Za-z%]+")
_UNITS = {"ms": "milliseconds", "s": "seconds", "us": "microseconds", "hz": "hertz", "mb": "MB"}
UNEXPANDED = re.compile(
    r"\$\{[^}]*\}|\$\([A-Za-z_]\w*\)|\$[A-Za-z_]\w*|\{\{.*\}\}|<no value>", re.DOTALL
)
"""Places where a shell, Kubernetes or a template should have put a value."""
NOTHING = frozenset(("None", "null", "NULL", "nil", "<nil>", "<none>", "undefined"))
"""What Python, YAML, SQL, Go, Kubernetes and JavaScript write where there is no value."""

_COMMENT = re.compile(r"\s#")


def reason_of(problem: dict[str, Any], variable: str, default: object) -> str:
    """Return why a value is unusable, and what to write instead.

    Parameters
    ----------
    problem
        One of pydantic's errors.
    default
        The setting's default value, as an example.
    """
    given, kind = problem["input"], str(problem["type"])
    reason = str(problem["msg"]).removeprefix("Value error, ")
    example = "" if default is None else f" such as {default}"
    if kind.startswith("int_"):
        reason = f"write an integer{example}"
    elif kind.startswith(("float_", "finite_")):
        reason = f"write a number{example}"
    elif kind.startswith("bool_"):
        reason = "write true or false"
    if not isinstance(given, str):
        return reason
    if not given:
        return f"{reason}; an empty value is not the default: remove the variable for that"
    unit = _UNITS.get(variable.rpartition("_")[2].lower())
    if unit is not None and _NUMBER_WITH_UNIT.fullmatch(given):
        return f"{reason}; it is in {unit}: write the number alone"
    if _COMMENT.search(given):
        return f"{reason}; the comment is taken for a part of it: write it in a line of its own"
    if "://" in given and kind.startswith("int_"):
        return f"{reason}; Kubernetes sets such addresses: turn enableServiceLinks off"
    return reason
