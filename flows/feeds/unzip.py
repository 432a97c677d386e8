"""Read a file, gzipped or not, as a stream; of a damaged one all that comes before the damage."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
_SALVAGE_BYTES = 16
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def unzipped_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's content, unzipped; all that comes before an error is yielded first.

    Raises
    ------
    OSError, EOFError, zlib.error
        The file cannot be read on, ends early or is damaged.
    """
    data = file.read(_CHUNK_BYTES)
    if not data.startswith(_GZIP_MAGIC):
        while data:
            yield data
            data = file.read(_BLOCK_BYTES)
        return
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    while data:
        before = unzip.copy()
        try:
            plain = unzip.decompress(data, _BLOCK_BYTES)
        except zlib.error:
            yield _salvage(before, data)
            raise
        if plain:
            yield plain
        if not unzip.eof:
            data = unzip.unconsumed_tail or file.read(_CHUNK_BYTES)
            continue
        data = (unzip.unused_data or file.read(_CHUNK_BYTES)).lstrip(b"\0")
        if not data:
            return  # the end of a whole file, which may be padded
        unzip = zlib.decompressobj(_GZIP_WINDOW)
    message = "the compressed data end before their end mark"
    raise EOFError(message)


def _salvage(unzip: "zlib._Decompress", data: bytes) -> bytes:
    """Return what can be unzipped before the damage, from a state before the data."""
    found = b""
    for start in range(0, len(data), _SALVAGE_BYTES):
        try:
            found += unzip.decompress(data[start : start + _SALVAGE_BYTES])
        except zlib.error:
            break
    return found
