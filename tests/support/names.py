"""Names of parametrized tests: short text that is the same in every process that collects them.

pytest makes a name of any bytes, number or text it is given. Bytes may hold what changes (a gzip
header holds the second it was written in), and the processes that share a run must collect the same
names. So whatever is no short plain text is named after its argument; pytest numbers these.
"""

import re
from collections.abc import Iterable

LONGEST_TEXT = 60
LARGEST_NUMBER = 10**9
"""From here on a number looks like a time."""

LONGEST_NAME = 200

_PLAIN = re.compile(r"[ -~]*")
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|:[0-9]{5}\b|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\n")
_LONG_NUMBER = re.compile(r"[0-9]{10,}")
_FOLDER = re.compile(r"/(tmp|home|root|work|usr|var|private)/|[A-Z]:\\")


def id_of(value: object, argument: str) -> str | None:
    """Return a value's part of the test's name; None where pytest's own is good."""
    if isinstance(value, bytes | bytearray):
        return argument
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return argument if abs(value) >= LARGEST_NUMBER else None
    if isinstance(value, float):
        return argument if len(str(value)) > LONGEST_TEXT or abs(value) >= LARGEST_NUMBER else None
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and len(value) <= LONGEST_TEXT
        return None if plain and not _troubles(value) else argument
    return None


def unstable(names: Iterable[str]) -> list[str]:
    """Return those names of tests that may differ elsewhere, or that nobody can read."""
    return [
        name
        for name in names
        if not _PLAIN.fullmatch(name) or len(name) > LONGEST_NAME or _troubles(_parameters(name))
    ]


def _parameters(name: str) -> str:
    return name.partition("[")[2]


def _troubles(text: str) -> bool:
    return any(pattern.search(text) for pattern in (_ADDRESS, _LONG_NUMBER, _FOLDER))
