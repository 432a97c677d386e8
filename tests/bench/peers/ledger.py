"""What was measured so far, turn by turn, so that a long run can be made in parts."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One turn.

    Attributes
    ----------
    measure
        ``check``, ``throughput``, ``latency`` or ``recovery``.
    round
        From 0 on.
    symbols
        How many.
    load
        Of the machine when it began: processes that wanted a processor, over the last minute.
    figures
        What it gave; empty where it failed.
    error
        Why it failed; empty where it did not.
    took_s
        All of it, its start and end too.
    tuning
        What was tried instead of the peer's own settings; empty where these were left.
    """

    peer: str
    measure: str
    symbols: int
    round: int
    load: float
    figures: dict[str, Any] = {}
    error: str = ""
    took_s: float = 0.0
    tuning: str = ""

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Which turn it is."""
        return self.peer, self.measure, self.symbols, self.round


class Ledger:
    """Turns that were done, kept in a file of one JSON object a line where there is one.

    Parameters
    ----------
    path
        The file; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_bytes().splitlines() if path is not None and path.exists() else []
        decode = msgspec.json.Decoder(Done).decode
        self._done = {done.key: done for done in map(decode, lines)}

    def __iter__(self) -> Iterator[Done]:
        return iter(self._done.values())

    def has(self, key: tuple[str, str, int, int]) -> bool:
        """Tell whether a turn was done."""
        return key in self._done

    def add(self, done: Done) -> None:
        """Note a turn; a later one takes the place of an earlier."""
        self._done[done.key] = done
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(done) + b"\n")

    def of(self, peer: str, measure: str, symbols: int | None = None) -> list[Done]:
        """Return a peer's turns of a measure, failed ones too."""
        return [
            done
            for done in self
            if done.peer == peer and done.measure == measure and symbols in {None, done.symbols}
        ]

    def median(
        self, peer: str, measure: str, name: str, symbols: int | None = None
    ) -> float | None:
        """Return the median of a figure over the rounds; None where there is none."""
        found = [
            done.figures[name]
            for done in self.of(peer, measure, symbols)
            if done.figures.get(name) is not None
        ]
        return statistics.median(found) if found else None

    def error(self, peer: str) -> str:
        """Return why a peer could not be measured; empty where it could."""
        worked = any(done.figures for done in self if done.peer == peer)
        failed = [done.error for done in self if done.peer == peer and done.error]
        return failed[-1] if failed and not worked else ""
