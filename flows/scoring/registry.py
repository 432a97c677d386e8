"""The model store: a folder that every process shares, written so that kills cannot break it.

Layout
------
::

    models/<name>/<version>/model.onnx       the graph
                            manifest.json    schemas.models.ModelManifest
                            SHA256SUMS       of all other files, as `sha256sum -c` reads it
                            ...              report files
    aliases/<target>.json                    schemas.models.Aliases
    aliases/log.ndjson                       one line per move, append-only
    created                                  newest second that a training's versions are named by
    .staging/                                versions being written; invisible to readers

A version is there whole or not at all, and never changes; an alias moves in one step.
"""

import time
from collections.abc import Callable, Collection, Hashable
from pathlib import Path

import msgspec
import structlog

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.aliases import AliasFiles, Move
from flows.scoring.names import check_target, split_ref
from flows.scoring.version_files import MANIFEST_FILE, MODEL_FILE, SUMS_FILE
from flows.scoring.versions import StoreEntry, VersionStore
from schemas.models import Aliases

__all__ = ["MANIFEST_FILE", "MODEL_FILE", "SUMS_FILE", "ModelStore", "Move", "StoreEntry"]


class ModelStore(VersionStore):
    """Publish, read and alias models.

    Parameters
    ----------
    root
        Folder of the store; made at the first write.
    clock_ns
        Wall clock for the log of moves, nanoseconds since the UNIX epoch.
    lock_timeout_s
        How long a writer waits for another one, seconds.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        lock_timeout_s: float = 10.0,
    ) -> None:
        super().__init__(root, lock_timeout_s=lock_timeout_s)
        self._aliases = AliasFiles(root / "aliases", clock_ns, lock_timeout_s, self._strays)

    def aliases(self, target: str) -> Aliases:
        """Return the aliases of ``target``; without a champion if none was ever promoted."""
        return self._aliases.read(target)

    def targets(self) -> list[str]:
        """Return the targets with a readable alias file, sorted."""
        return self._aliases.targets()

    def moves(self) -> list[Move]:
        """Return every alias move, oldest first."""
        return self._aliases.moves()

    def move(
        self,
        target: str,
        *,
        champion: str,
        by: str,
        allow_simulated: bool = False,
        instead_of: Collection[str | None] | None = None,
    ) -> Aliases:
        """Make a version the champion; it leaves the challengers, the old one joins the history.

        Challengers that predict something else than the new champion are no longer any.

        Parameters
        ----------
        by
            Name of the caller, for the log.
        allow_simulated
            Accept a model trained on simulated data. True only where the feed is simulated.
        instead_of
            If given, the champions that it may replace, None for no champion: of two movers at
            once, the second has compared its model with one that is champion no more.

        Raises
        ------
        ModelRejectedError
            The version is broken, for another target, or simulated and not allowed; or another
            version has become champion.
        """

        def set_champion(old: Aliases) -> Aliases:
            if instead_of is not None and old.champion not in instead_of:
                message = (
                    f"model {champion} does not become champion of {target}: meanwhile"
                    f" {old.champion or 'none'} has, which it was not compared with"
                )
                raise ModelRejectedError(message)
            self._check_servable(target, champion, allow_simulated=allow_simulated)
            return self._with_new_champion(old, champion)

        return self._aliases.update(target, set_champion, action="champion", by=by)

    def install(self, target: str, *, champion: str, by: str) -> Aliases:
        """Make a version the champion if the target has none; otherwise change nothing."""

        def set_champion(old: Aliases) -> Aliases:
            if old.champion is not None:
                return old
            self._check_servable(target, champion, allow_simulated=False)
            return self._with_new_champion(old, champion)

        return self._aliases.update(target, set_champion, action="champion", by=by)

    def set_challengers(self, target: str, refs: list[str], *, by: str) -> Aliases:
        """Replace the versions that score in shadow.

        Raises
        ------
        ModelRejectedError
            One is the champion, is broken, or predicts something else than the champion.
        """

        def replace(old: Aliases) -> Aliases:
            for ref in refs:
                self._check_shadow(old, ref)
            return _with_challengers(old, refs)

        return self._aliases.update(target, replace, action="challengers", by=by)

    def add_challenger(self, target: str, ref: str, *, by: str) -> Aliases:
        """Let a version score in shadow beside those that do; see :meth:`set_challengers`."""

        def add(old: Aliases) -> Aliases:
            self._check_shadow(old, ref)
            if ref in old.challengers:
                return old
            return _with_challengers(old, [*old.challengers, ref])

        return self._aliases.update(target, add, action="challengers", by=by)

    def renew_challengers(
        self, target: str, refs: Collection[str], *, without: Collection[str], by: str
    ) -> Aliases:
        """Let versions score in shadow in the place of others; those of other movers stay.

        What is the champion by now, or predicts something else than it, is left out.

        Parameters
        ----------
        without
            References that score in shadow no more.
        """

        def renew(old: Aliases) -> Aliases:
            kept = [ref for ref in old.challengers if ref not in without and ref not in refs]
            added = [
                ref
                for ref in refs
                if ref != old.champion
                and (old.champion is None or self._asks_the_same(old.champion, ref))
            ]
            for ref in added:
                self._check_shadow(old, ref)
            return _with_challengers(old, kept + added)

        return self._aliases.update(target, renew, action="challengers", by=by)

    def remove_challenger(self, target: str, ref: str, *, by: str) -> Aliases:
        """Stop a version's shadow scores; it may be broken by now.

        Raises
        ------
        ModelRejectedError
            It is no challenger of this target.
        """

        def remove(old: Aliases) -> Aliases:
            if ref not in old.challengers:
                known = ", ".join(old.challengers) or "none"
                message = f"model {ref} is no challenger of {target}; challengers: {known}"
                raise ModelRejectedError(message)
            return _with_challengers(old, [other for other in old.challengers if other != ref])

        return self._aliases.update(target, remove, action="challengers", by=by)

    def rollback(self, target: str, *, by: str, allow_simulated: bool = False) -> Aliases:
        """Make the champion before this one the champion again.

        Raises
        ------
        ModelRejectedError
            There is none, or it is broken, or simulated and not allowed.
        """

        def back(old: Aliases) -> Aliases:
            if not old.history:
                message = f"{target} has no former champion to roll back to"
                raise ModelRejectedError(message)
            champion = old.history[-1]
            self._check_servable(target, champion, allow_simulated=allow_simulated)
            return msgspec.structs.replace(
                self._with_new_champion(old, champion), history=old.history[:-1]
            )

        return self._aliases.update(target, back, action="rollback", by=by)

    def retire_simulated(self, target: str, *, by: str) -> Aliases:
        """Replace a champion trained on simulated data, for the start of a live feed.

        The newest former champion that is whole and not simulated takes its place; if there is
        none, the target has no champion.
        """

        def usable(ref: str) -> bool:
            try:
                self._check_servable(target, ref, allow_simulated=False)
            except ModelRejectedError:
                return False
            return True

        def retire(old: Aliases) -> Aliases:
            if old.champion is None or not self._is_simulated(old.champion):
                return old
            kept = [ref for ref in old.history if usable(ref)]
            champion = kept[-1] if kept else None
            return msgspec.structs.replace(
                old,
                champion=champion,
                challengers=[ref for ref in old.challengers if ref != champion],
                history=kept[:-1],
            )

        return self._aliases.update(target, retire, action="rollback", by=by)

    def prune(self, keep: int, protected: Collection[str] = ()) -> list[str]:
        """Remove old versions; return their references.

        Of each name the newest ``keep`` stay, and every champion, challenger and former champion,
        whatever its age. Aliases cannot move meanwhile.

        Parameters
        ----------
        keep
            At least 1.
        protected
            References that stay whatever they are, such as one that a setting pins.

        Raises
        ------
        ModelStoreError
            The store cannot be written, or not one of the versions can be removed.
        """
        if keep < 1:
            message = f"model store: cannot keep {keep} versions of a model; keep at least 1"
            raise ModelStoreError(message)
        removed: list[str] = []
        failed: ModelStoreError | None = None
        with self._aliases.held():
            try:
                kept = {*protected, *self._aliases.mentioned()}
            except ModelStoreError as error:
                # Which versions it names is unknown: any of them may be the champion.
                structlog.get_logger().warning("no version is removed", cause=str(error))
                return []
            for ref in self._older_than_newest(keep):
                if ref in kept:
                    continue
                try:
                    self.remove(ref)
                except ModelStoreError as error:
                    self._strays.name(self.folder(ref), str(error))
                    failed = error
                else:
                    removed.append(ref)
        if failed is not None and not removed:
            raise failed
        return removed

    def _older_than_newest(self, keep: int) -> list[str]:
        """Return the references of each name but the newest ``keep``, by name, oldest first."""
        by_name: dict[str, list[str]] = {}
        for ref in self.refs():  # a version begins with its time: sorted is oldest first
            by_name.setdefault(split_ref(ref)[0], []).append(ref)
        return [ref for refs in by_name.values() for ref in refs[:-keep]]

    def change_token(self) -> Hashable:
        """Return a value that differs whenever an alias moved or a version was published.

        Costs some tens of microseconds: it reads the alias files and stats one folder per name.
        A store that cannot be read has a token too, so that the caller goes on.
        """
        try:
            aliases: Hashable = self._aliases.contents()
        except ModelStoreError as error:
            aliases = str(error)
        return (aliases, _times(self._models))

    def _check_servable(self, target: str, ref: str, *, allow_simulated: bool) -> None:
        check_target(target)
        manifest, _ = self.read(ref)
        if manifest.target.name != target:
            message = f"model {ref} predicts {manifest.target.name}, not {target}"
            raise ModelRejectedError(message)
        if manifest.provenance == "simulated" and not allow_simulated:
            message = (
                f"model {ref} is trained on simulated data: it never becomes champion of a live"
                " feed; where the feed is simulated too, allow it (--allow-simulated)"
            )
            raise ModelRejectedError(message)

    def _check_shadow(self, old: Aliases, ref: str) -> None:
        self._check_servable(old.target, ref, allow_simulated=True)
        if old.champion is not None and not self._asks_the_same(old.champion, ref):
            message = (
                f"model {ref} predicts something else than the champion {old.champion} (its form,"
                " horizon, lookback or percentile): one truth cannot be compared with both"
            )
            raise ModelRejectedError(message)

    def _with_new_champion(self, old: Aliases, champion: str) -> Aliases:
        new = _with_champion(old, champion)
        kept = [ref for ref in new.challengers if self._asks_the_same(champion, ref)]
        if kept == new.challengers:
            return new
        return msgspec.structs.replace(new, challengers=kept)

    def _asks_the_same(self, ref: str, other: str) -> bool:
        """Return whether two versions predict the same; True where one of them is broken."""
        try:
            return self.manifest(ref).target.asks_the_same(self.manifest(other).target)
        except ModelRejectedError:
            return True

    def _is_simulated(self, ref: str) -> bool:
        try:
            return self.manifest(ref).provenance == "simulated"
        except ModelRejectedError:
            return False


def _times(folder: Path) -> tuple[tuple[str, int | None], ...]:
    """Return name and time of change of each entry, ns; None where it cannot be looked at."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return ()
    found: list[tuple[str, int | None]] = []
    for entry in entries:
        try:
            found.append((entry.name, entry.stat().st_mtime_ns))
        except OSError:
            found.append((entry.name, None))
    return tuple(found)


def _with_champion(old: Aliases, champion: str) -> Aliases:
    if old.champion == champion:
        return old
    history = old.history if old.champion is None else [*old.history, old.champion]
    return msgspec.structs.replace(
        old,
        champion=champion,
        challengers=[ref for ref in old.challengers if ref != champion],
        history=history,
    )


def _with_challengers(old: Aliases, refs: list[str]) -> Aliases:
    if old.champion in refs:
        message = f"model {old.champion} is the champion of {old.target}; it cannot shadow itself"
        raise ModelRejectedError(message)
    if len(set(refs)) != len(refs):
        message = f"challengers of {old.target} name a model twice: {', '.join(refs)}"
        raise ModelRejectedError(message)
    return msgspec.structs.replace(old, challengers=list(refs))
