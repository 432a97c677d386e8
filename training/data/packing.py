"""Unpack gzip, bzip2, xz and Zstandard, of a damaged file all that comes before the damage."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Literal, Protocol

Packing = Literal["gzip", "bzip2", "xz", "zstd"]

_MARKS: dict[bytes, Packing] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
# Small, for a damaged chunk is lost whole.
_CHUNK = 4096


class _Engine(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_ENGINES: dict[Packing, Callable[[], _Engine]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


def packing(raw: bytes) -> Packing | None:
    """Return what packs a file, by its first bytes; None for what is not packed."""
    return next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)


def unpacked(raw: bytes, kind: Packing) -> tuple[bytes, str]:
    """Return a file's bytes, and why there are no more of them; nothing if it is whole.

    The standard readers give nothing of a file that is cut, so that this unpacks step by step.
    """
    return _zstd(raw) if kind == "zstd" else _members(raw, _ENGINES[kind])


def _members(raw: bytes, engine_of: Callable[[], _Engine]) -> tuple[bytes, str]:
    """Unpack all members of a file, one behind the other."""
    made = bytearray()
    rest = raw
    while rest.strip(b"\0"):
        engine = engine_of()
        try:
            for at in range(0, len(rest), _CHUNK):
                made += engine.decompress(rest[at : at + _CHUNK])
                if engine.eof:
                    rest = engine.unused_data + rest[at + _CHUNK :]
                    break
            else:
                return bytes(made), "it ends in the middle"
        except (zlib.error, lzma.LZMAError, OSError) as error:
            return bytes(made), str(error)
    return bytes(made), ""


def _zstd(raw: bytes) -> tuple[bytes, str]:
    # Here, not above: it imports pyarrow, which takes a fifth of a second.
    from flows.connectors.parquet.reading import open_zstd

    made = bytearray()
    # Not all at once: of a cut stream, the read that meets the cut gives nothing.
    with open_zstd(raw) as stream:
        try:
            while part := stream.read(_CHUNK):
                made += part
        except OSError as error:
            return bytes(made), str(error)
    return bytes(made), ""
