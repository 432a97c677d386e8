"""Files of a source: which of a folder hold data, in which order, and their plain bytes."""

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from flows.errors import TrainingError

TEXT = (".csv", ".tsv", ".txt")
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
# Whatever an operating system, an editor or an unfinished download leaves beside data.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".download", ".partial", ".swp", ".bak")
_ZIP_JUNK = "__MACOSX"
# Small, for a damaged chunk is lost whole.
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class DataFile:
    """One table of a source.

    Attributes
    ----------
    path
        The file, or the archive that holds it.
    member
        Name inside a zip archive; empty for a file of its own.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.path.name}!{self.member}" if self.member else self.path.name

    @property
    def stem(self) -> str:
        """File name without the suffixes of its format."""
        return plain_stem(Path(self.member or self.path.name).name)

    @property
    def is_json(self) -> bool:
        """Whether its name says that it holds JSON."""
        name = (self.member or self.path.name).lower()
        for compressed in COMPRESSED:
            name = name.removesuffix(compressed)
        return name.endswith(JSON)

    @property
    def is_parquet(self) -> bool:
        """Whether it holds Parquet rather than text."""
        return (self.member or self.path.name).lower().endswith(PARQUET)


def plain_stem(name: str) -> str:
    """Return a file name without the suffixes of formats and compression."""
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not dot or f".{suffix.lower()}" not in TEXT + JSON + PARQUET + COMPRESSED:
            return name
        name = stem


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts by the numbers in a name: ``file-2`` before ``file-10``."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def data_files(path: Path, suffixes: tuple[str, ...], what: str) -> list[DataFile]:
    """Return the data files of a folder, at any depth, in natural order; or the one file.

    Hidden files, unfinished downloads, empty files and files of other kinds are passed over with
    one warning.

    Parameters
    ----------
    suffixes
        Formats that are read, without compression.
    what
        Kind of data, for messages.

    Raises
    ------
    TrainingError
        The path does not exist, or holds no such file.
    """
    if not path.exists():
        msg = f"cannot read {what} from {path}: no such file or folder"
        raise TrainingError(msg)
    if path.is_file():
        if path.stat().st_size == 0:
            msg = f"{path} holds no {what}: the file is empty"
            raise TrainingError(msg)
        return list(_members(path, suffixes))
    found: list[DataFile] = []
    stray: list[str] = []
    for file in sorted(path.rglob("*"), key=lambda each: natural(str(each.relative_to(path)))):
        if not file.is_file():
            continue
        inside = file.relative_to(path)
        hidden = any(part.startswith((".", "_")) for part in inside.parts)
        if hidden or not _is_data(file.name, suffixes) or file.stat().st_size == 0:
            stray.append(str(inside))
            continue
        found.extend(_members(file, suffixes))
    if not found:
        beside = f" (passed over: {', '.join(stray[:3])})" if stray else ""
        msg = f"{path} holds no {what}: no file {' or '.join(suffixes)}{beside}"
        raise TrainingError(msg)
    if stray:
        structlog.get_logger().warning(
            "files passed over", folder=str(path), files=stray[:5], count=len(stray)
        )
    return found


def _is_data(name: str, suffixes: tuple[str, ...]) -> bool:
    lower = name.lower()
    if lower.endswith(_UNFINISHED):
        return False
    for compressed in COMPRESSED:
        lower = lower.removesuffix(compressed)
    # In a folder, plain text is a note about the data.
    return lower.endswith(tuple(each for each in suffixes if each != ".txt")) or (
        name.lower().endswith(".zip")
    )


def _members(path: Path, suffixes: tuple[str, ...]) -> Iterator[DataFile]:
    if path.suffix.lower() != ".zip":
        yield DataFile(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if info.file_size]
    except (zipfile.BadZipFile, OSError) as error:
        msg = f"cannot read {path}: the zip archive is damaged or cut short ({error})"
        raise TrainingError(msg) from None
    for name in sorted(names, key=natural):
        junk = name.startswith(_ZIP_JUNK) or Path(name).name.startswith(".")
        if not junk and name.lower().endswith(suffixes):
            yield DataFile(path, name)


def read_bytes(file: DataFile) -> bytes:
    """Return a file's bytes, unpacked; of a cut ``.gz`` all before the cut, with a warning.

    Raises
    ------
    TrainingError
        It cannot be read or unpacked.
    """
    suffix = file.path.suffix.lower()
    try:
        if file.member:
            with zipfile.ZipFile(file.path) as archive:
                return archive.read(file.member)
        raw = file.path.read_bytes()
        if suffix == ".gz":
            return _gunzip(file, raw)
        if suffix == ".bz2":
            return bz2.decompress(raw)
        return lzma.decompress(raw) if suffix == ".xz" else raw
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        msg = f"cannot read {file.path}: {reason}"
        raise TrainingError(msg) from None


def _gunzip(file: DataFile, raw: bytes) -> bytes:
    """Unpack all members of a gzip file by hand, for the standard reader gives nothing of a cut."""
    made = bytearray()
    rest = raw
    cause = ""
    while rest.strip(b"\0") and not cause:
        engine = zlib.decompressobj(wbits=31)
        try:
            for at in range(0, len(rest), _CHUNK):
                made += engine.decompress(rest[at : at + _CHUNK])
                if engine.eof:
                    rest = engine.unused_data + rest[at + _CHUNK :]
                    break
            else:
                cause = "it ends in the middle"
        except zlib.error as error:
            cause = str(error)
    if not cause:
        return bytes(made)
    if b"\n" not in made:
        msg = f"nothing can be unpacked: {cause}"
        raise ValueError(msg)
    structlog.get_logger().warning(
        "the file is cut; what comes before the cut is read", file=file.name, cause=cause
    )
    return bytes(made[: made.rindex(b"\n") + 1])
