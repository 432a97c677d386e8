"""A file that is compressed while it is written, and is a whole one where a disk is full."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # without name and time
_LAST_BLOCK = b"\x03\x00"  # an empty block of deflate that says it is the last one
_LEVEL = 6
_BUFFER_BYTES = 1 << 16


class OutputFile:
    """A new file, gzipped or plain.

    What was written reaches the operating system with :meth:`flush`, in a state that can be read.
    If writing fails, the file is cut back to the last flush and gets its end mark, so that it is a
    whole file that ends early.

    Parameters
    ----------
    path
        A file that does not exist.

    Raises
    ------
    OSError
        The file exists or cannot be written, also from all methods.
    """

    def __init__(self, path: Path, *, compress: bool) -> None:
        self._compressor = (
            zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if compress else None
        )
        self._file = path.open("xb", buffering=0)
        self._buffer = bytearray(_GZIP_HEADER if compress else b"")
        self._plain_bytes = 0
        self._check = 0
        self._size = 0
        self._flushed = (0, 0, 0)  # size, plain bytes and their check sum
        self._failed = False

    @property
    def size(self) -> int:
        """Bytes written so far, compressed as they are."""
        return self._size + len(self._buffer)

    def write(self, data: bytes) -> None:
        """Append some data."""
        if self._compressor is None:
            self._buffer += data
        else:
            self._check = zlib.crc32(data, self._check)
            self._buffer += self._compressor.compress(data)
        self._plain_bytes += len(data)
        if len(self._buffer) > _BUFFER_BYTES:
            self._send()

    def flush(self) -> None:
        """Hand all data over to the operating system."""
        if self._compressor is not None:
            self._buffer += self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self._send()
        self._flushed = (self._size, self._plain_bytes, self._check)

    def close(self) -> None:
        """End the file; may be called twice."""
        if self._file.closed:
            return
        try:
            if not self._failed:
                if self._compressor is not None:
                    self._buffer += self._compressor.flush(zlib.Z_FINISH) + self._end_mark()
                self._send()
        finally:
            self._file.close()

    def _send(self) -> None:
        data = memoryview(self._buffer)
        try:
            while data:
                count = self._file.write(data) or 0
                self._size += count
                data = data[count:]
        except OSError:
            self._failed = True
            data.release()
            self._cut_back()
            raise
        data.release()
        self._buffer = bytearray()

    def _cut_back(self) -> None:
        """Leave what was flushed, with an end mark, which takes the room of what is cut off."""
        size, self._plain_bytes, self._check = self._flushed
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), size)
            self._file.seek(size)
            if self._compressor is not None and size:
                self._file.write(_LAST_BLOCK + self._end_mark())

    def _end_mark(self) -> bytes:
        return struct.pack("<LL", self._check, self._plain_bytes & 0xFFFFFFFF)
