"""Bytes by their place, for compiled code.

A signed place might be counted from the end: compiled code looks whether it is, for each byte. An
unsigned one cannot be, which makes the parser and the writers a quarter to a third faster.
"""

from typing import Any

import numpy as np

from flows.numeric.arrays import UInt8
from flows.numeric.compiled import inlined


@inlined
def byte(text: UInt8, place: Any) -> np.uint8:
    """Return the byte at a place, an integer from 0 on."""
    found: np.uint8 = text[np.uint64(place)]
    return found


@inlined
def put(out: UInt8, place: Any, value: Any) -> None:
    """Write a byte, an integer of 0 to 255, at a place, an integer from 0 on."""
    out[np.uint64(place)] = value
