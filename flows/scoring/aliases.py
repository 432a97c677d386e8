"""The alias files ``aliases/<target>.json``, replaced as a whole, and the log of every move.

The alias file is the truth. A kill between its replacement and the log's line leaves a move that
is not logged; the next move finds that by the time in the file and writes the missing line first
(what it came from is where the log's last line of the target ended).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import structlog

from flows.errors import ModelStoreError
from flows.scoring.durable import append_line, locked, read_regular, replace_file
from flows.scoring.names import check_target, is_target
from flows.scoring.strays import Strays
from schemas.decoding import UNREADABLE, decode_or_none
from schemas.models import Aliases, TimeNs

# Former champions kept for rollbacks.
HISTORY_LENGTH = 50

LOCK_FILE = ".lock"
# An alias file has some hundred bytes, a line of the log likewise: what is larger is another file.
_ALIAS_BYTES = 1 << 20
_LOG_BYTES = 1 << 28


class Move(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """One line of ``aliases/log.ndjson``.

    ``before`` and ``after`` (``from``, ``to`` in JSON) are the champions; ``action`` is
    ``champion``, ``challengers``, ``rollback`` or ``recovered`` (written later for a mover that
    was killed before it could).
    """

    ts_ns: TimeNs
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
    strays
        Names the foreign files.
    """

    def __init__(
        self, folder: Path, clock_ns: Callable[[], int], lock_timeout_s: float, strays: Strays
    ) -> None:
        self._folder = folder
        self._clock_ns = clock_ns
        self._lock_timeout_s = lock_timeout_s
        self._strays = strays
        self._decoder = msgspec.json.Decoder(Aliases)
        self._move_decoder = msgspec.json.Decoder(Move)

    @property
    def log_path(self) -> Path:
        """The append-only log of moves."""
        return self._folder / "log.ndjson"

    def read(self, target: str) -> Aliases:
        """Return the aliases of ``target``; without a champion if none was ever set.

        Raises
        ------
        ModelStoreError
            The file cannot be read or decoded, or is a copy of another target's.
        """
        path = self._path(target)
        found = self._decoded(path)
        if found is None:
            return Aliases(target=target)
        if found.target != target:
            message = (
                f"model store: {path} holds the aliases of {found.target}; remove this copy, or"
                f" promote a model for {target}"
            )
            raise ModelStoreError(message)
        return found

    def targets(self) -> list[str]:
        """Return the targets with a readable alias file, sorted; others are named in a warning."""
        found = []
        for target in self._named():
            try:
                self.read(target)
            except ModelStoreError as error:
                self._strays.name(self._path(target), str(error))
            else:
                found.append(target)
        return found

    def mentioned(self) -> set[str]:
        """Return every reference that an alias file names, be it a copy of another's.

        Raises
        ------
        ModelStoreError
            A file that should be a target's cannot be read: what it names is unknown.
        """
        refs: set[str] = set()
        for target in self._named():
            aliases = self._decoded(self._path(target))
            if aliases is not None:
                refs |= {*aliases.challengers, *aliases.history, aliases.champion or ""}
        return refs - {""}

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
                self._log_move(_move(old.champion, new, action))
                return new
        except OSError as error:
            raise self._unwritable(error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other mover waiting during the block.

        Raises
        ------
        ModelStoreError
            The store cannot be written, or another process holds the lock for too long.
        """
        with ExitStack() as stack:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self._folder / LOCK_FILE, self._lock_timeout_s))
            except OSError as error:
                raise self._unwritable(error) from error
            yield

    def _unwritable(self, error: OSError) -> ModelStoreError:
        return ModelStoreError(f"model store: cannot write {self._folder}: {error.strerror}")

    def moves(self) -> list[Move]:
        """Return the log, oldest first; a line torn by a kill is left out."""
        try:
            lines = read_regular(self.log_path, _LOG_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            self._strays.name(self.log_path, f"cannot be read: {error.strerror}")
            return []
        moves = (decode_or_none(self._move_decoder.decode, line) for line in lines)
        # A torn line: the move that followed it was preceded by the whole line, written again.
        return [move for move in moves if move is not None]

    def contents(self) -> tuple[tuple[str, bytes], ...]:
        """Return the alias files' bytes: some hundred bytes each, and exact unlike their times."""
        found = []
        for target in self._named():
            try:
                found.append((target, read_regular(self._path(target), _ALIAS_BYTES)))
            except OSError as error:
                found.append((target, str(error).encode()))
        return tuple(found)

    def _named(self) -> list[str]:
        """Return the targets that a file of the folder is named after, sorted."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            message = f"model store: cannot read {self._folder}: {error.strerror}"
            raise ModelStoreError(message) from error
        found = []
        for name in names:
            target = name.removesuffix(".json")
            if target != name and is_target(target):
                found.append(target)
            elif not self._is_own(name):
                self._strays.name(self._folder / name, "no target has this name")
        return found

    def _is_own(self, name: str) -> bool:
        temporary = name.startswith(".") and is_target(name[1:].removesuffix(".json.tmp"))
        return temporary or name in {self.log_path.name, LOCK_FILE}

    def _decoded(self, path: Path) -> Aliases | None:
        """Return what a file holds; None where there is none."""
        try:
            content = read_regular(path, _ALIAS_BYTES)
        except FileNotFoundError as error:
            if not path.is_symlink():
                return None
            message = f"model store: {path} is a link to a file that is not there"
            raise ModelStoreError(message) from error
        except OSError as error:
            message = f"model store: cannot read {path}: {error.strerror}"
            raise ModelStoreError(message) from error
        try:
            return self._decoder.decode(content)
        except UNREADABLE as error:
            message = f"model store: {path} is not an alias file: {error}; promote a model anew"
            raise ModelStoreError(message) from error

    def _path(self, target: str) -> Path:
        return self._folder / f"{check_target(target)}.json"

    def _catch_up(self, current: Aliases) -> None:
        if current.moved_ns == 0:
            return
        logged = [move for move in self.moves() if move.target == current.target]
        if logged and logged[-1].ts_ns >= current.moved_ns:
            return
        self._append(_move(logged[-1].after if logged else None, current, "recovered"))

    def _log_move(self, move: Move) -> None:
        """Add a line about a move that is done; where that fails, the next move writes it."""
        try:
            self._append(move)
        except OSError as error:
            structlog.get_logger().warning(
                "the model has moved, but not into the log of moves: the next move adds it",
                target=move.target,
                champion=move.after,
                path=str(self.log_path),
                cause=error.strerror,
            )

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
