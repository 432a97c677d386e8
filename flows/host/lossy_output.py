"""A text stream for logs that never raises: a full disk or a reader that left ends no program."""

import io
import sys
from typing import TextIO

SAID_BY = "voltick: "
"""What a program's last words begin with, so that others know whose they are."""


def tell(text: str) -> None:
    """Write a program's last words to stderr, if it takes any; the exit code says the rest."""
    LossyOutput(sys.stderr).write(text)


class LossyOutput:
    """Writes lines to a stream; what the operating system does not take is lost, and counted.

    Bytes go past the stream's own buffer where it has one: what cannot be written would stay there,
    and fail once more at the interpreter's end, which makes an exit code of it.

    Parameters
    ----------
    stream
        What is written to, such as stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a text, and before it how many were lost, if some were; return its length."""
        note = f"{self._lost} log lines could not be written and are lost\n" if self._lost else ""
        try:
            self._put(note + text)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is written at once."""

    def _put(self, text: str) -> None:
        """Hand a text over to the operating system.

        Raises
        ------
        OSError
            It does not take it.
        """
        raw = getattr(getattr(self._stream, "buffer", None), "raw", None)
        if isinstance(raw, io.RawIOBase):
            raw.write(text.encode(self._stream.encoding, self._stream.errors or "strict"))
        else:
            self._stream.write(text)
            self._stream.flush()
