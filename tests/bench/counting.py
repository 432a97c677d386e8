"""What a call costs, counted: bytecodes and calls, the same on every machine and however busy."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(slots=True)
class Counts:
    """How many bytecodes ran, and how many functions of Python or C were called from Python."""

    bytecodes: int = 0
    calls: int = 0


def counted(call: Callable[[], object]) -> Counts:
    """Run a call of this thread and count; what C code does inside is one call."""
    counts = Counts()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        del argument
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            counts.bytecodes += 1
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        del frame, argument
        if event in ("call", "c_call"):
            counts.calls += 1

    traced, profiled = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(traced)
        sys.setprofile(profiled)
    return counts
