"""``python -m tests.proof.numbers``: all float32, and many doubles, written as orjson writes them.

orjson is the oracle of the compiled writer, and Python's own reading of the text is the check of
both: it must come back as the same double, in the fewest digits that do.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NoReturn

import numpy as np
import numpy.typing as npt
import orjson
import typer

from flows.codec.message_parts import Floats, Vectors
from flows.codec.row_writer import RowWriter, row_writer_kernel

CHUNK = 1 << 20
ALL_FLOAT32 = 1 << 32
_READ_BACK = 2_000
_SEPARATOR = b","

Values = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]

EXAMPLE = "Example: python -m tests.proof.numbers --count 100000000"

app = typer.Typer(add_completion=False)


def differing(writer: RowWriter, values: Values) -> float | None:
    """Return the first value that is not written as by orjson; None without one."""
    text = written(writer, values)
    expected = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    if text == expected:
        return None
    pairs = zip(text.split(_SEPARATOR), expected.split(_SEPARATOR), strict=True)
    return float(values[next(at for at, (own, other) in enumerate(pairs) if own != other)])


def written(writer: RowWriter, values: Values) -> bytes:
    """Return float32 or doubles as the writer writes them, with commas between them."""
    write = row_writer_kernel().compile()
    if values.dtype == np.float32:
        return writer.joined(write, [Vectors(values[None, :])], 1)[0]
    return writer.joined(write, [Floats(values), _SEPARATOR], len(values))[0][:-1]


def float32_of(first: int, count: int) -> npt.NDArray[np.float32]:
    """Return the float32 with ``count`` bit patterns from ``first`` on."""
    return np.arange(first, first + count, dtype=np.uint32).view(np.float32)


def selected_bits(per_exponent: int) -> npt.NDArray[np.uint32]:
    """Return bits of float32 of every exponent and sign, the first and last fractions included."""
    rng = np.random.default_rng(3)
    fractions = np.concatenate(
        [np.arange(64), 2**23 - 1 - np.arange(64), rng.integers(0, 2**23, per_exponent // 512)]
    )
    exponents = np.arange(512) << 23
    return (exponents[:, None] | fractions[None, :]).ravel().astype(np.uint32)


def _any_bits(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)


def _edges(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return powers of two and their neighbours."""
    exponents = rng.integers(0, 2047, count, dtype=np.uint64) << np.uint64(52)
    return (exponents + rng.integers(-2, 3, count).astype(np.uint64)).view(np.float64)


def _decimals(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return numbers of 1 to 17 digits around the lengths at which the shorter way ends."""
    whole = rng.integers(1, 10 ** rng.integers(1, 18, count))
    return whole / 10.0 ** rng.integers(0, 23, count)


DOUBLES: Mapping[str, Draw] = {
    "bits": _any_bits,
    "edges": _edges,
    "decimals": _decimals,
    "prices": lambda rng, count: np.round(rng.lognormal(4.0, 4.0, count), 2),
    "sizes": lambda rng, count: np.round(rng.exponential(0.1, count), 8),
    "middles": lambda rng, count: 0.5 * np.round(rng.lognormal(4.0, 4.0, (2, count)), 2).sum(0),
    "scores": lambda rng, count: rng.random(count, np.float32).astype(np.float64),
    "ratios": lambda rng, count: rng.random(count),
}
"""Ways to draw doubles: any bits, and what prices, sizes and scores look like."""


@app.command(epilog=EXAMPLE)
def main(
    first: Annotated[int, typer.Option(min=0, help="First bit pattern of float32.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many; by default all.")] = ALL_FLOAT32,
    doubles: Annotated[int, typer.Option(min=0, help="Instead at least so many doubles.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the doubles that are drawn.")] = 1,
) -> None:
    """Write float32 of every bit pattern, or doubles, as orjson does; exit code 1 if any differs.

    The doubles are of any bits, and such as prices, sizes and scores. Some of all are read back by
    Python, too. Ends with one line of JSON.
    """
    if doubles:
        rng = np.random.default_rng(seed)
        draws = list(DOUBLES.values())
        chunks = -(-doubles // CHUNK)
        drawn = (draws[at % len(draws)](rng, CHUNK) for at in range(chunks))
        _prove("doubles", chunks * CHUNK, drawn)
    end = min(first + count, ALL_FLOAT32)
    starts = range(first, end, CHUNK)
    _prove("float32", end - first, (float32_of(at, min(CHUNK, end - at)) for at in starts))


def _prove(kind: str, count: int, chunks: Iterable[Values]) -> NoReturn:
    """Write chunk by chunk; end with one line of JSON, and exit code 1 after a difference."""
    begin = time.monotonic()
    writer = RowWriter(row_writer_kernel().compile)
    wrong = []
    for number, values in enumerate(chunks):
        found = differing(writer, values)
        if found is not None:
            wrong.append(found)
        _read_back(writer, values[:: len(values) // _READ_BACK + 1])
        if number % 256 == 255:
            sys.stderr.write(f"{(number + 1) * CHUNK} of {count}\n")
    line = {
        "numbers": kind,
        "count": count,
        "different": len(wrong),
        "first_different": wrong[:1],
        "seconds": round(time.monotonic() - begin, 1),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    raise typer.Exit(1 if wrong else 0)


def _read_back(writer: RowWriter, values: Values) -> None:
    """Read some of them back, by Python, as the same numbers."""
    kept = values[np.isfinite(values)]
    texts = written(writer, kept).split(_SEPARATOR) if len(kept) else []
    read = np.array([float(each) for each in texts]).astype(kept.dtype)
    if not np.array_equal(read, kept):
        message = "a number does not come back as the same"
        raise AssertionError(message)


if __name__ == "__main__":
    app()
