"""The alias files ``aliases/<target>.json``, replaced as a whole, and the log of every move.

The alias file is the truth. A kill between its replacement and the log's line leaves a move that
is not logged; the next move finds that by the time in the file and writes the missing line first
(what it came from is where the log's last line of the target ended).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flows.errors import ModelStoreError
from flows.scoring.durable import append_line, locked, replace_file
from flows.scoring.names import check_target
from schemas.models import Aliases

# Former champions kept for rollbacks.
HISTORY_LENGTH = 50


class Move(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """One line of ``aliases/log.ndjson``.

    ``before`` and ``after`` (``from``, ``to`` in JSON) are the champions; ``action`` is
    ``champion``, ``challengers``, ``rollback`` or ``recovered`` (written later for a mover that
    was killed before it could).
    """

    ts_ns: int
    target: str
    action: str
    before: str | None
    after: str | None
    challengers: list[str]
    by: str


class AliasFiles:
    """The alias files of one store.

    Parameters
    ----------
    folder
        ``aliases/`` of the store; made at the first move.
    clock_ns
        Wall clock for the log, nanoseconds since the UNIX epoch.
    lock_timeout_s
        How long a mover waits for another one, seconds.
    """

    def __init__(self, folder: Path, clock_ns: Callable[[], int], lock_timeout_s: float) -> None:
        self._folder = folder
        self._clock_ns = clock_ns
        self._lock_timeout_s = lock_timeout_s
        self._decoder = msgspec.json.Decoder(Aliases)

    @property
    def log_path(self) -> Path:
        """The append-only log of moves."""
        return self._folder / "log.ndjson"

    def read(self, target: str) -> Aliases:
        """Return the aliases of ``target``; without a champion if none was ever set.

        Raises
        ------
        ModelStoreError
            The file cannot be read or decoded.
        """
        path = self._path(target)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Aliases(target=target)
        except OSError as error:
            message = f"model store: cannot read {path}: {error.strerror}"
            raise ModelStoreError(message) from error
        try:
            return self._decoder.decode(content)
        except msgspec.MsgspecError as error:
            message = f"model store: {path} is not an alias file: {error}; promote a model anew"
            raise ModelStoreError(message) from error

    def targets(self) -> list[str]:
        """Return the targets that have an alias file, sorted."""
        try:
            return sorted(
                path.stem
                for path in self._folder.iterdir()
                if not path.name.startswith(".") and path.suffix == ".json"
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            message = f"model store: cannot read {self._folder}: {error.strerror}"
            raise ModelStoreError(message) from error

    def update(
        self, target: str, change: Callable[[Aliases], Aliases], *, action: str, by: str
    ) -> Aliases:
        """Read, change and write one target's aliases under the lock; return the new ones.

        ``change`` may raise to refuse; returning its argument unchanged writes nothing.
        """
        check_target(target)
        try:
            with self.held():
                old = self.read(target)
                self._catch_up(old)
                new = change(old)
                if new is old:
                    return old
                # Strictly rising, so that the log can tell the moves apart.
                now_ns = max(self._clock_ns(), old.moved_ns + 1)
                new = msgspec.structs.replace(
                    new,
                    history=new.history[-HISTORY_LENGTH:],
                    moved_ns=now_ns,
                    moved_by=by,
                )
                replace_file(self._path(target), _pretty(new))
                self._append(_move(old.champion, new, action))
                return new
        except OSError as error:
            message = f"model store: cannot write {self._folder}: {error.strerror}"
            raise ModelStoreError(message) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other mover waiting during the block."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / ".lock", self._lock_timeout_s):
            yield

    def moves(self) -> list[Move]:
        """Return the log, oldest first; a line torn by a kill is left out."""
        try:
            lines = self.log_path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        moves = []
        for line in lines:
            try:
                moves.append(msgspec.json.decode(line, type=Move))
            except msgspec.MsgspecError:
                continue  # torn: the mover that follows wrote the move again, whole
        return moves

    def contents(self) -> tuple[tuple[str, bytes], ...]:
        """Return the alias files' bytes: some hundred bytes each, and exact unlike their times."""
        found = []
        for target in self.targets():
            try:
                found.append((target, self._path(target).read_bytes()))
            except OSError as error:
                found.append((target, str(error).encode()))
        return tuple(found)

    def _path(self, target: str) -> Path:
        return self._folder / f"{check_target(target)}.json"

    def _catch_up(self, current: Aliases) -> None:
        if current.moved_ns == 0:
            return
        logged = [move for move in self.moves() if move.target == current.target]
        if logged and logged[-1].ts_ns >= current.moved_ns:
            return
        self._append(_move(logged[-1].after if logged else None, current, "recovered"))

    def _append(self, move: Move) -> None:
        append_line(self.log_path, msgspec.json.encode(move))


def _move(before: str | None, new: Aliases, action: str) -> Move:
    return Move(
        ts_ns=new.moved_ns,
        target=new.target,
        action=action,
        before=before,
        after=new.champion,
        challengers=new.challengers,
        by=new.moved_by,
    )


def _pretty(aliases: Aliases) -> bytes:
    return msgspec.json.format(msgspec.json.encode(aliases), indent=2) + b"\n"
