"""What a message that is no tick looks like: how other producers write, for the dead letter."""

from flows.numeric.time import NS_PER_MS, NS_PER_S, NS_PER_US
from schemas.ticks import EARLIEST_NS, LATEST_NS

_WIRE_FORMAT_BYTES = 5
_BEGINNINGS = {
    b"\xef\xbb\xbf": "begins with a byte order mark",
    b"\xff\xfe": "looks like UTF-16; JSON is UTF-8",
    b"\xfe\xff": "looks like UTF-16; JSON is UTF-8",
    b"\x1f\x8b": "looks like gzip; a producer compresses by its compression.type",
    b"\x28\xb5\x2f\xfd": "looks like zstd; a producer compresses by its compression.type",
    b"\x00\x00": "looks like the wire format of a schema registry; plain JSON is expected",
}
_UNITS_NS = {"seconds": NS_PER_S, "milliseconds": NS_PER_MS, "microseconds": NS_PER_US}


def looks_like(value: bytes) -> str | None:
    """Return what bytes that are no JSON look like; None where nothing tells."""
    if value.startswith(b"\x00") and len(value) <= _WIRE_FORMAT_BYTES:
        return None
    return next((said for begin, said in _BEGINNINGS.items() if value.startswith(begin)), None)


def unit_of(time: int) -> str | None:
    """Return the unit in which a number is a time from 2009 to 2261, if that is no nanosecond."""
    fitting = (name for name, ns in _UNITS_NS.items() if EARLIEST_NS <= time * ns <= LATEST_NS)
    return next(fitting, None)
