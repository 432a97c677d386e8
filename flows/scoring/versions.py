"""Model versions on disk: whole or not there, and never changed once they are.

A version is written to ``.staging``, made durable and renamed into place. Publishers take a lock,
so whoever holds it may clear what a killed one left in ``.staging``.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
import structlog

from flows.errors import ModelRejectedError, ModelStoreError
from flows.host.files import sync_folder
from flows.numeric.time import NS_PER_S
from flows.scoring.durable import locked, read_regular, replace_file
from flows.scoring.names import check_name, check_version, is_version_folder, sha256_of, split_ref
from flows.scoring.strays import Strays
from flows.scoring.version_files import (
    MANIFEST_FILE,
    MODEL_FILE,
    SUMS_FILE,
    check_publication,
    most_bytes,
    tampered,
    write_folder,
)
from schemas.decoding import UNREADABLE
from schemas.models import ModelManifest

CREATION_FILE = "created"
_MOST_AHEAD_S = 60


@dataclass(frozen=True)
class StoreEntry:
    """One version in the store: its manifest, or why it cannot be used."""

    ref: str
    manifest: ModelManifest | None
    problem: str | None


class VersionStore:
    """Publish and read model versions.

    Parameters
    ----------
    root
        Folder of the store; made at the first publication.
    lock_timeout_s
        How long a publisher waits for another one, seconds.
    """

    def __init__(self, root: Path, *, lock_timeout_s: float = 10.0) -> None:
        self.root = root
        self._models = root / "models"
        self._staging = root / ".staging"
        self._lock_timeout_s = lock_timeout_s
        self._strays = Strays()

    def check_writable(self) -> None:
        """Refuse a store that this user cannot write; nothing is written.

        Raises
        ------
        ModelStoreError
            Its folder, or the one in which it would be made, cannot be written.
        """
        folder = self.root.absolute()
        while not os.path.lexists(folder):
            folder = folder.parent
        is_folder = os.path.isdir(folder)  # noqa: PTH112 (raises nothing)
        if not (is_folder and os.access(folder, os.W_OK | os.X_OK)):
            why = "may not be written by this user" if is_folder else "is no folder"
            message = f"model store: cannot write {self.root}: {folder} {why}"
            raise ModelStoreError(message)

    def creation_ns(self, now_ns: int) -> int:
        """Return a time of creation that no other publisher gets: in a second of its own.

        Versions are named by their second, so two trainings that begin in one second would name
        alike what they have in common.

        Parameters
        ----------
        now_ns
            Wall clock, nanoseconds since the UNIX epoch; returned unless its second is taken.

        Raises
        ------
        ModelStoreError
            The store cannot be written.
        """
        path = self.root / CREATION_FILE
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root / ".lock", self._lock_timeout_s):
                second, taken = now_ns // NS_PER_S, _taken_second(path)
                # Further ahead it was taken by a clock that was wrong.
                if second <= taken <= second + _MOST_AHEAD_S:
                    second = taken + 1
                    now_ns = second * NS_PER_S
                replace_file(path, b"%d\n" % second)
        except OSError as error:
            message = f"model store: cannot write {self.root}: {error.strerror or error}"
            raise ModelStoreError(message) from error
        return now_ns

    def publish(
        self,
        manifest: ModelManifest,
        onnx_bytes: bytes,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> str:
        """Add a version, all or nothing, and return its ``name@version``.

        Publishing the same model again changes nothing and returns the same reference, unless the
        version was damaged meanwhile: then it is replaced.

        Parameters
        ----------
        manifest
            ``version`` by :func:`flows.scoring.names.version_of`, ``sha256`` of ``onnx_bytes``.
        files
            Report files by name.

        Raises
        ------
        ModelRejectedError
            A name is not usable, or version or hash do not belong to ``onnx_bytes``.
        ModelStoreError
            The store cannot be written, or the version exists with another content.
        """
        ref = check_publication(manifest, onnx_bytes, files)
        content = {
            **files,
            MODEL_FILE: onnx_bytes,
            MANIFEST_FILE: msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n",
        }
        content[SUMS_FILE] = "".join(
            f"{sha256_of(content[name])}  {name}\n" for name in sorted(content)
        ).encode()
        final = self.folder(ref)
        try:
            self._staging.mkdir(parents=True, exist_ok=True)
            with locked(self.root / ".lock", self._lock_timeout_s):
                self._clear_staging()
                exists = os.path.lexists(final)
                if exists and self._is_there(ref, content):
                    return ref
                temporary = self._staging / uuid.uuid4().hex
                try:
                    write_folder(temporary, content)
                except OSError:
                    # A disk that is full is not to stay full of what nobody reads.
                    shutil.rmtree(temporary, ignore_errors=True)
                    raise
                final.parent.mkdir(parents=True, exist_ok=True)
                for folder in (self.root, self._models):
                    sync_folder(folder)
                if exists:
                    self._move_away(ref)
                temporary.rename(final)
                sync_folder(final.parent)
        except OSError as error:
            message = f"model store: cannot write {self.root}: {error.strerror or error}"
            raise ModelStoreError(message) from error
        return ref

    def remove(self, ref: str) -> None:
        """Take a version out of the store, all or nothing; see ``ModelStore.prune``.

        Raises
        ------
        ModelStoreError
            The store cannot be written.
        """
        try:
            self._staging.mkdir(parents=True, exist_ok=True)
            with locked(self.root / ".lock", self._lock_timeout_s):
                doomed = self.folder(ref).rename(self._staging / uuid.uuid4().hex)
                sync_folder(self.folder(ref).parent)
                if doomed.is_symlink():  # what it leads to is another's
                    doomed.unlink()
                else:
                    shutil.rmtree(doomed)
        except OSError as error:
            message = f"model store: cannot remove {ref}: {error.strerror or error}"
            raise ModelStoreError(message) from error

    def read(self, ref: str) -> tuple[ModelManifest, bytes]:
        """Return manifest and graph, both checked against their hashes.

        Raises
        ------
        ModelRejectedError
            The version is not there, incomplete, or was changed after its publication.
        """
        manifest = self.manifest(ref)
        onnx_bytes = self.file(ref, MODEL_FILE)
        found = sha256_of(onnx_bytes)
        if found != manifest.sha256:
            raise tampered(ref, MODEL_FILE, found, manifest.sha256)
        return manifest, onnx_bytes

    def manifest(self, ref: str) -> ModelManifest:
        """Return a version's manifest, checked; errors as in :meth:`read`."""
        content = self.file(ref, MANIFEST_FILE)
        try:
            manifest = msgspec.json.decode(content, type=ModelManifest)
        except UNREADABLE as error:
            message = f"model {ref} is refused: {MANIFEST_FILE} is not a manifest: {error}"
            raise ModelRejectedError(message) from error
        if manifest.ref != ref:
            message = f"model {ref} is refused: its manifest belongs to {manifest.ref}"
            raise ModelRejectedError(message)
        check_version(manifest.version, manifest.sha256)
        return manifest

    def file(self, ref: str, name: str) -> bytes:
        """Return one file of a version, checked; errors as in :meth:`read`."""
        check_name(name, "file")
        sums = self._sums(ref)
        if name not in sums:
            message = f"model {ref} has no file {name}; it has {', '.join(sorted(sums))}"
            raise ModelRejectedError(message)
        content = self._raw(ref, name, f" (sha256 {sums[name]})")
        found = sha256_of(content)
        if found != sums[name]:
            raise tampered(ref, name, found, sums[name])
        return content

    def files(self, ref: str) -> list[str]:
        """Return the names of a version's files, ``SHA256SUMS`` aside, sorted."""
        return sorted(self._sums(ref))

    def folder(self, ref: str) -> Path:
        """Return where a version lies, whether it exists or not."""
        name, version = split_ref(ref)
        return self._models / name / version

    def refs(self) -> list[str]:
        """Return every version's reference, sorted; foreign files are named in a warning.

        Raises
        ------
        ModelStoreError
            The folder of all models cannot be read.
        """
        try:
            names = sorted(self._models.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            message = f"model store: cannot read {self._models}: {error.strerror}"
            raise ModelStoreError(message) from error
        found = []
        for name in names:
            try:
                folders = sorted(name.iterdir())
            except OSError as error:
                self._strays.name(name, f"no folder of versions: {error.strerror}")
                continue
            for folder in folders:
                if is_version_folder(name.name, folder.name) and os.path.isdir(folder):  # noqa: PTH112 (raises nothing)
                    found.append(f"{name.name}@{folder.name}")
                else:
                    self._strays.name(folder, "no folder of a version")
        return sorted(found)

    def entries(self) -> list[StoreEntry]:
        """Return every version, the broken ones with their problem; graphs are not hashed."""
        entries = []
        for ref in self.refs():
            try:
                entries.append(StoreEntry(ref, self.manifest(ref), None))
            except ModelRejectedError as error:
                entries.append(StoreEntry(ref, None, str(error)))
        return entries

    def manifests(self) -> list[ModelManifest]:
        """Return the readable manifests, oldest first; broken versions are named in a warning."""
        found = []
        for entry in self.entries():
            if entry.manifest is None:
                self._strays.name(self.folder(entry.ref), entry.problem or "")
            else:
                found.append(entry.manifest)
        return sorted(found, key=lambda manifest: (manifest.created_ns, manifest.ref))

    def newest(
        self,
        variant: str,
        target: str,
        *,
        feature_set: int | None = None,
        allow_simulated: bool = True,
    ) -> str | None:
        """Return the newest version of a variant for a target, or None."""
        fitting = [
            manifest.ref
            for manifest in self.manifests()
            if manifest.variant == variant
            and manifest.target.name == target
            and (feature_set is None or manifest.feature_set == feature_set)
            and (allow_simulated or manifest.provenance != "simulated")
        ]
        return fitting[-1] if fitting else None

    def _clear_staging(self) -> None:
        for leftover in self._staging.iterdir():
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    leftover.unlink()

    def _is_there(self, ref: str, content: Mapping[str, bytes]) -> bool:
        """Return whether a version is there with this content; False where it is damaged.

        Raises
        ------
        ModelStoreError
            It is whole and has another content.
        """
        try:
            sums = self._raw(ref, SUMS_FILE, "")
            self.read(ref)
        except ModelRejectedError:
            return False
        if sums != content[SUMS_FILE]:
            message = (
                f"model store: {ref} exists already with another manifest or report; versions"
                " never change: publish it under a new time of creation"
            )
            raise ModelStoreError(message)
        return True

    def _move_away(self, ref: str) -> None:
        structlog.get_logger().warning(
            "a damaged version is published again, whole", model=ref, path=str(self.folder(ref))
        )
        self.folder(ref).rename(self._staging / uuid.uuid4().hex)

    def _sums(self, ref: str) -> dict[str, str]:
        if not os.path.isdir(self.folder(ref)):  # noqa: PTH112 (raises nothing)
            message = f"model {ref} is not in the store {self.root}"
            raise ModelRejectedError(message)
        sums = {}
        for line in self._raw(ref, SUMS_FILE, "").decode(errors="replace").splitlines():
            digest, _, name = line.partition("  ")
            sums[name] = digest
        return sums

    def _raw(self, ref: str, name: str, expected: str) -> bytes:
        path = self.folder(ref) / name
        try:
            return read_regular(path, most_bytes(name))
        except OSError as error:
            message = f"model {ref} is refused: cannot read {path}{expected}: {error.strerror}"
            raise ModelRejectedError(message) from error


def _taken_second(path: Path) -> int:
    """Return the newest second that was given away, since the UNIX epoch; -1 if that is unknown."""
    try:
        return int(read_regular(path, 64))
    except (OSError, ValueError):
        return -1
