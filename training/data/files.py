"""Files of a source: which of a folder hold data, in which order, and their plain bytes."""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from flows.errors import TrainingError
from training.data.packing import packing, unpacked

TEXT = (".csv", ".tsv", ".txt")
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
# Whatever an operating system, an editor or an unfinished download leaves beside data.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".download", ".partial", ".swp", ".bak")
_ZIP_JUNK = "__MACOSX"
# A downloaded .gz may have been packed once more; a file that unpacks to itself has no end.
_MOST_LAYERS = 3


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
        members = list(_members(path, suffixes))
        if not members:
            msg = f"{path} holds no {what}: no file {' or '.join(suffixes)} is in it"
            raise TrainingError(msg)
        return members
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
    packed = tuple(each + more for each in suffixes for more in ("", *COMPRESSED[:-1]))
    found = [
        name
        for name in sorted(names, key=natural)
        if not name.startswith(_ZIP_JUNK) and not Path(name).name.startswith(".")
        if name.lower().endswith(packed)
    ]
    # Beside tables, plain text is a note about them, as in a folder.
    tables = [name for name in found if not name.lower().endswith(".txt")]
    for name in tables or found:
        yield DataFile(path, name)


def read_bytes(file: DataFile) -> bytes:
    """Return a file's bytes, unpacked; of one that is cut all before the cut, with a warning.

    What packs it is told by its first bytes, whatever its name says.

    Raises
    ------
    TrainingError
        It cannot be read or unpacked.
    """
    try:
        if file.member:
            with zipfile.ZipFile(file.path) as archive:
                raw = archive.read(file.member)
        else:
            raw = file.path.read_bytes()
        for _ in range(_MOST_LAYERS):
            packed = packing(raw)
            if packed is None:
                break
            raw, cause = unpacked(raw, packed)
            if cause and b"\n" not in raw:
                msg = f"nothing can be unpacked: {cause}"
                raise ValueError(msg)
            if cause:
                structlog.get_logger().warning(
                    "the file is cut; what comes before the cut is read",
                    file=file.name,
                    cause=cause,
                )
                raw = raw[: raw.rindex(b"\n") + 1]
    # RuntimeError is a zip that needs a password, or (NotImplementedError) another method.
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        msg = f"cannot read {file.path}: {reason}"
        raise TrainingError(msg) from None
    return raw


def check_columns(file: DataFile, names: Sequence[str]) -> None:
    """Refuse a file of which a name cannot tell the column.

    Raises
    ------
    TrainingError
        Two columns have one name.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        msg = f"{file.path} has more than one column {', '.join(twice)}; leave one of each name"
        raise TrainingError(msg)
