"""Hold published feature values against the oracle, which recomputes them from the ticks."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from schemas import topics
from schemas.features import INDEX, MEMORY_S, NAMES
from schemas.predictions import FeatureRow
from tests.oracle.expectation import Expected, ExpectedRow, Origin
from tests.oracle.features import Seen, row_of
from tests.oracle.order import Decision
from tests.oracle.time import NS_PER_S
from tests.proof.checker import Defect
from tests.support.feature_checks import RELATIVE, scale_of
from tests.support.kafka.tools import Message

# What is published was rounded to float32.
_ROUNDING = 2.0**-23
_LARGEST = float(np.finfo(np.float32).max)
_KEPT_NS = (MEMORY_S + 100) * NS_PER_S
_BEGINNINGS = {Decision.FIRST, Decision.RESTART}


def check_values(
    expected: Expected,
    features: Iterable[Message],
    seed: int,
    rows: int,
    also: frozenset[Origin] = frozenset(),
) -> Iterator[Defect]:
    """Yield values that are not within the oracle's tolerance.

    Parameters
    ----------
    rows
        How many are recomputed, drawn by ``seed``; every beginning of a memory comes on top.
    also
        Rows that are recomputed in any case.
    """
    chosen = _choose(expected, seed, rows) | also
    published = _published(features, chosen)
    found, wanted, origins = [], [], []
    for origin, reference in _recomputed(expected, chosen):
        if origin in published:
            origins.append(origin)
            found.append(published[origin])
            wanted.append(reference)
    if not origins:
        return
    yield from compare(np.array(found), np.array(wanted), origins)


def compare(values: np.ndarray, reference: np.ndarray, origins: list[Origin]) -> Iterator[Defect]:
    """Yield what differs; both float64, shape (n, features)."""
    reference = np.clip(reference, -_LARGEST, _LARGEST)
    for column, name in enumerate(NAMES):
        got, want = values[:, column], reference[:, column]
        slack = scale_of(name, reference)
        if name == "roll_spread_bps_300":
            # At a covariance of zero the sign of a rounding error decides between 0 and NaN.
            unsure = (np.isnan(got) & (want <= slack)) | (np.isnan(want) & (got <= slack))
            got, want = np.where(unsure, 0.0, got), np.where(unsure, 0.0, want)
        tolerance = (RELATIVE + _ROUNDING) * np.abs(want) + slack
        wrong = (np.isnan(got) != np.isnan(want)) | (np.abs(got - want) > tolerance)
        for at in np.flatnonzero(wrong):
            detail = f"{name} is {got[at]!r}, the oracle says {want[at]!r}"
            yield Defect("different", topics.TICKS_FEATURES, origins[at], detail)


def _choose(expected: Expected, seed: int, rows: int) -> set[Origin]:
    random_ = random.Random(seed)  # noqa: S311 - repeatable by seed
    everything = sorted(expected.rows)
    chosen = set(random_.sample(everything, min(rows, len(everything))))
    return chosen | {at for at, row in expected.rows.items() if row.decision in _BEGINNINGS}


def _published(features: Iterable[Message], chosen: set[Origin]) -> dict[Origin, list[float]]:
    published = {}
    for message in features:
        row = msgspec.json.decode(message.value, type=FeatureRow)
        origin = (row.partition, row.offset)
        if origin in chosen:
            published[origin] = [math.nan if value is None else value for value in row.values]
    return published


def _recomputed(expected: Expected, chosen: set[Origin]) -> Iterator[tuple[Origin, list[float]]]:
    """Walk all rows in order, keeping each symbol's memory, and recompute the chosen ones."""
    memories: dict[tuple[int, str, str], list[Seen]] = defaultdict(list)
    for origin, row in sorted(expected.rows.items()):
        tick = row.tick
        key = (origin[0], tick.venue, tick.symbol)
        if row.decision in _BEGINNINGS:
            memories[key] = []
        memory = memories[key]
        memory.append(_seen(row))
        if origin in chosen:
            memory = memories[key] = _trimmed(memory)
            named = row_of(memory)
            reference = [math.nan] * len(NAMES)
            for name, value in named.items():
                reference[INDEX[name]] = value
            yield origin, reference


def _seen(row: ExpectedRow) -> Seen:
    tick = row.tick

    def known(value: float | None) -> float:
        return math.nan if value is None else value

    return Seen(
        row.effective_ns,
        row.mid,
        tick.price,
        known(tick.size),
        tick.side,
        known(tick.bid),
        known(tick.ask),
        known(tick.bid_size),
        known(tick.ask_size),
        row.gap,
    )


def _trimmed(memory: list[Seen]) -> list[Seen]:
    """Drop ticks that no window reaches but the newest two, whose return counts once more."""
    border = memory[-1].t - _KEPT_NS
    first = next(at for at, tick in enumerate(memory) if tick.t > border)
    return memory[max(first - 2, 0) :]
