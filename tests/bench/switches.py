"""Whether predictions changed their model exactly when they were told to: pure, by offsets."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Seen = tuple[int, str]
"""Input offset of a prediction, and which version scored it."""


def defects(seen: Iterable[Seen], ordered: Sequence[str], end: int) -> list[str]:
    """Return what is wrong with a run, in words; nothing where all is well.

    Parameters
    ----------
    seen
        Every prediction, in the order of its topic.
    ordered
        The versions in the order in which they were made champion; two in a row differ.
    end
        Predictions were to be made for the offsets 0 to ``end - 1``, one each.
    """
    offsets, versions = _columns(seen)
    found = _order(offsets, end)
    runs = [offsets[at] for at in _run_starts(versions)]
    names = [versions[at] for at in _run_starts(versions)]
    for at, name in enumerate(names):
        if at >= len(ordered):
            found.append(f"offset {runs[at]} switches to {name}, though nothing was moved")
        elif name != ordered[at]:
            found.append(f"offset {runs[at]} switches to {name} instead of {ordered[at]}")
    found += [f"no switch to {name} was seen" for name in ordered[len(names) :]]
    return found


def switch_offsets(seen: Iterable[Seen]) -> list[int]:
    """Return the offset of each prediction that another version scored than the one before it."""
    offsets, versions = _columns(seen)
    return [offsets[at] for at in _run_starts(versions)[1:]]


def _order(offsets: Sequence[int], end: int) -> list[str]:
    """Return what keeps the offsets from being 0 to ``end - 1`` in a row."""
    found = [f"offset {offset} was never written" for offset in offsets if offset >= end]
    for before, after in pairwise([-1, *(offset for offset in offsets if offset < end), end]):
        if after > before + 1:
            found.append(f"{after - before - 1} missing from offset {before + 1} on")
        elif after <= before:
            found.append(f"offset {after} comes after {before}")
    return found


def _run_starts(versions: Sequence[str]) -> list[int]:
    return [at for at in range(len(versions)) if at == 0 or versions[at] != versions[at - 1]]


def _columns(seen: Iterable[Seen]) -> tuple[list[int], list[str]]:
    pairs = list(seen)
    return [offset for offset, _ in pairs], [version for _, version in pairs]
