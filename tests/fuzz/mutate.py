"""Mutations of a message: of its values, of its text and of its bytes."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

from flows.numeric.time import NS_PER_S

DAY = 86_400 * NS_PER_S
_NUMBER = re.compile(rb"(?<=[:\[])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FIELDS = (
    "symbol",
    "venue",
    "ts_event_ns",
    "ts_recv_ns",
    "price",
    "size",
    "side",
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "trade_id",
    "sequence",
    "gap",
)
_FLOATS = ("price", "size", "bid", "ask", "bid_size", "ask_size")
_TIMES = ("ts_event_ns", "ts_recv_ns")
_EXTREME_FLOATS = (
    5e-324,
    1e-308,
    1e-300,
    1e-45,
    3.5e38,
    1e39,
    1e154,
    1e155,
    1e300,
    1.7976931348623157e308,
    -1e300,
    -5e-324,
    0.0,
    -0.0,
    1,
    10**18,
    2**53 + 1,
    2**63,
    2**64,
    10**308,
)
_EXTREME_TIMES = (
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    9_213_000_000_000_000_000,
    9_213_000_000_000_000_001,
    1_230_768_000_000_000_000,
    1_230_767_999_999_999_999,
)
_JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    1.5,
    1e300,
    2**63,
    -(2**63) - 1,
    10**40,
    "",
    "1",
    "1.5",
    "NaN",
    "null",
    "BTC-USD",
    "x" * 64,
    "x" * 65,
    "\x00",
    "\u0001" * 64,
    "\U0001f600" * 64,
    "'; drop table ticks;--",
    "../../etc/passwd",
    "\r\nSET a b\r\n",
    '"},{"',
    [],
    {},
    [1],
    {"price": 1},
    [[[]]],
)
_LITERALS = (
    b"NaN",
    b"-NaN",
    b"nan",
    b"Infinity",
    b"-Infinity",
    b"inf",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"1e",
    b"01",
    b"+1",
    b".5",
    b"5.",
    b"0x10",
    b"1_000",
    b"--1",
    b"1e+",
    b"9" * 400,
    b"0." + b"0" * 400 + b"1",
    b"1" + b"0" * 18 + b".0",
    b"undefined",
    b"None",
    b"",
    b'"',
    b"[",
    b"{}",
    b"null",
    b"tru",
    b"\xff",
)
_INSERTED = (
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b'"',
    b",",
    b":",
    b"{",
    b"}",
    b"/*x*/",
    b"\x1f",
    b"\n",
    b"\t  ",
    "é".encode("latin-1"),
)

Mutation = Callable[[random.Random, bytes, bytes], bytes]


def mutated(random_: random.Random, value: bytes, other: bytes) -> bytes:
    """Return a message after one to three mutations.

    Parameters
    ----------
    value
        A good message.
    other
        Another one, to be spliced in.
    """
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        [mutation] = random_.choices(_MUTATIONS, _WEIGHTS)
        value = mutation(random_, value, other)
    return value


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(found: object) -> bytes:
    return json.dumps(found).encode("utf-8", "surrogatepass")


def _change_value(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    found = _object(value)
    if found is None:
        return value
    found[random_.choice(_FIELDS)] = random_.choice(_JUNK)
    return _written(found)


def _extreme_number(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    found = _object(value)
    if found is None:
        return value
    for name in random_.sample(_FLOATS, random_.randint(1, 3)):
        found[name] = random_.choice(_EXTREME_FLOATS)
    return _written(found)


def _extreme_market(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    """Valid, and as large or small as numbers get."""
    found = _object(value)
    if found is None:
        return value
    price = random_.choice((5e-324, 1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300, 1.7e308))
    size = random_.choice((0.0, 5e-324, 1e-300, 1e300, 1.7e308))
    found |= {"price": price, "bid": price, "ask": price, "size": size}
    found |= {"bid_size": random_.choice((0.0, 1e300, 5e-324)), "ask_size": size}
    return _written(found)


def _extreme_time(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    found = _object(value)
    if found is None:
        return value
    time_ns = random_.choice((*_EXTREME_TIMES, _shifted(random_, found.get("ts_event_ns"))))
    for name in random_.choice((_TIMES, _TIMES, _TIMES[:1], _TIMES[1:])):
        found[name] = time_ns
    return _written(found)


def _shifted(random_: random.Random, time_ns: object) -> int:
    base = time_ns if isinstance(time_ns, int) else 1_750_000_000 * NS_PER_S
    shifts = (
        1,
        NS_PER_S,
        5 * NS_PER_S,
        59 * NS_PER_S,
        60 * NS_PER_S,
        61 * NS_PER_S,
        300 * NS_PER_S,
        301 * NS_PER_S,
        3600 * NS_PER_S,
    )
    far = (3601 * NS_PER_S, 7200 * NS_PER_S, 4 * DAY, 32 * DAY, 4000 * DAY)
    return base + random_.choice((-1, 1)) * random_.choice(shifts + far)


def _extreme_id(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    found = _object(value)
    if found is None:
        return value
    found["trade_id"] = random_.choice((0, 1, 2**63 - 1, 2**63 - 2, 2**63, -1, 2**53 + 1, 5))
    return _written(found)


def _drop_field(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    found = _object(value)
    if not found:
        return value
    found.pop(random_.choice(list(found)))
    return _written(found)


def _rename_field(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    name = random_.choice(_FIELDS).encode()
    changed = random_.choice((name.upper(), name + b" ", b"\\u0070" + name[1:], b"", name * 50))
    return value.replace(b'"' + name + b'"', b'"' + changed + b'"', 1)


def _add_field(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    name = random_.choice(("note", "", "x" * 1000, "__class__", "\ud800", "price "))
    found = _object(value)
    return value if found is None else _written({**found, name: random_.choice(_JUNK)})


def _duplicate_key(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    name = random_.choice(_FIELDS)
    again = json.dumps({name: random_.choice((*_JUNK, *_EXTREME_FLOATS))}).encode()[1:-1]
    if random_.random() < 0.5:
        return value[:-1] + b"," + again + b"}"
    return b"{" + again + b"," + value[1:]


def _literal(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    places = list(_NUMBER.finditer(value))
    if not places:
        return value
    place = random_.choice(places)
    return value[: place.start()] + random_.choice(_LITERALS) + value[place.end() :]


def _nest(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    depth = random_.choice((10, 500, 900, 1000, 1100, 5_000, 30_000))
    opened, closed = random_.choice(((b"[", b"]"), (b'{"a":', b"}")))
    depth = min(depth, 60_000 // len(opened + closed))
    tail = closed * depth if random_.random() < 0.7 else b""
    core = random_.choice((b"1", value))
    nested = opened * depth + core + tail
    if random_.random() < 0.5:
        return nested
    return value[:-1] + b',"note":' + nested + b"}"


def _oversize(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    length = random_.choice((65_535, 65_536, 65_537, 70_000, 131_072, 300_000))
    filler = random_.choice((b" ", b"x", b"\xff", b"\x00", b"9"))
    if random_.random() < 0.5 and len(value) < length:
        return value + filler * (length - len(value))
    room = max(length - len(value) - 10, 0)
    return value[:-1] + b',"note":"' + filler * room + b'"}'


def _truncate(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    return value[: random_.randrange(len(value) + 1)]


def _flip_bits(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(random_.choice((1, 1, 2, 8)) if changed else 0):
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _random_bytes(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(random_.choice((1, 3, 10)) if changed else 0):
        changed[random_.randrange(len(changed))] = random_.randrange(256)
    return bytes(changed)


def _insert(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    at = random_.randrange(len(value) + 1)
    return value[:at] + random_.choice(_INSERTED) + value[at:]


def _cut_out(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    at = random_.randrange(len(value) + 1)
    return value[:at] + value[at + random_.choice((1, 2, 10)) :]


def _splice(random_: random.Random, value: bytes, other: bytes) -> bytes:
    return value[: random_.randrange(len(value) + 1)] + other[random_.randrange(len(other) + 1) :]


def _repeat(random_: random.Random, value: bytes, other: bytes) -> bytes:
    return random_.choice((value + value, value + b"\n" + other, b"[" + value + b"]"))


def _encode_otherwise(random_: random.Random, value: bytes, _other: bytes) -> bytes:
    text = value.decode("latin-1")
    return random_.choice(
        (text.encode("utf-16"), text.encode("utf-32-le"), b"\xef\xbb\xbf" + value, value[::-1])
    )


def _noise(random_: random.Random, _value: bytes, _other: bytes) -> bytes:
    return random_.randbytes(random_.choice((0, 1, 16, 300)))


_MUTATIONS: tuple[Mutation, ...] = (
    _change_value,
    _extreme_number,
    _extreme_market,
    _extreme_time,
    _extreme_id,
    _drop_field,
    _rename_field,
    _add_field,
    _duplicate_key,
    _literal,
    _nest,
    _oversize,
    _truncate,
    _flip_bits,
    _random_bytes,
    _insert,
    _cut_out,
    _splice,
    _repeat,
    _encode_otherwise,
    _noise,
)
# Long messages cost time and teach little, and a last id silences its symbol for an hour.
_RARE: dict[Mutation, float] = {_nest: 0.03, _oversize: 0.02, _extreme_id: 0.02}
_WEIGHTS = tuple(_RARE.get(mutation, 1.0) for mutation in _MUTATIONS)
