"""Parquet in memory: opened from bytes so that Arrow's threads hold nothing of Python's.

A thread of Arrow's pool may let go of what it has read a moment after the read has returned. Where
that is a Python object (``io.BytesIO``, or ``pa.BufferReader`` over ``bytes``), the thread asks for
the interpreter; at the end of a process there is none any more, and the process aborts
(``terminate called without an active exception``) in place of its exit code, all its work done.
Bytes that Arrow owns need no interpreter. A path is as good: Arrow opens it itself.
"""

import pyarrow as pa
import pyarrow.parquet as pq

DAMAGED_PARQUET = (OSError, UnicodeDecodeError, pa.ArrowException)
"""What opening and reading a Parquet file raises where some of its bytes have changed: what holds
its values together, what is packed, and the names of its columns."""


def open_parquet(content: bytes) -> pq.ParquetFile:
    """Open a file's bytes; Arrow keeps a copy and no reference to them.

    Unlike ``pq.read_table`` it adds no columns for folders named ``key=value``.

    Raises
    ------
    DAMAGED_PARQUET
        They are no Parquet file.
    """
    return pq.ParquetFile(pa.BufferReader(_owned(content)))


def row_count(content: bytes) -> int:
    """Return how many rows a file's bytes hold.

    Raises
    ------
    DAMAGED_PARQUET
        They are no Parquet file.
    """
    return int(open_parquet(content).metadata.num_rows)


def open_zstd(content: bytes) -> pa.NativeFile:
    """Open Zstandard's bytes for reading; a read that meets damage raises OSError."""
    return pa.CompressedInputStream(pa.BufferReader(_owned(content)), "zstd")


def _owned(content: bytes) -> pa.Buffer:
    """Return a copy in Arrow's own memory."""
    copy = pa.allocate_buffer(len(content))
    with pa.FixedSizeBufferWriter(copy) as out:
        out.write(content)
    return copy
