"""Say which value a message was refused for."""

import re

import msgspec

from schemas.decoding import UNREADABLE

_PATH = re.compile(r" - at `\$(?P<path>(?:\.\w+|\[[0-9]+\])+)`$")
_STEP = re.compile(r"\.(\w+)|\[([0-9]+)\]")
_SHOWN = 64


def with_value(complaint: str, payload: str | bytes | msgspec.Raw) -> str:
    """Return a decoder's complaint with the value behind it, as far as it names a place.

    Parameters
    ----------
    payload
        What was decoded; a complaint about something else stays as it is.
    """
    found = _PATH.search(complaint)
    if found is None:
        return complaint
    value = msgspec.Raw(payload)
    try:
        for name, index in _STEP.findall(found["path"]):
            if name:
                value = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[name]
            else:
                value = msgspec.json.decode(value, type=list[msgspec.Raw])[int(index)]
    except (*UNREADABLE, LookupError):
        return complaint
    text = bytes(value).decode(errors="replace")
    return f"{complaint}: {text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}"
