"""A socket whose peer has to answer within a time and some bytes, for a handshake."""

import http.client
import io
import socket
import time
from typing import Any

from flows.feeds.http import Reply

_SHORTEST_S = 0.001
_END_OF_HEAD = b"\r\n\r\n"


class TooLongAnswerError(OSError):
    """What a server answers does not end within the bytes or the time that it has."""


class BoundedSocket:
    """A connected socket that is read up to so many bytes, and until a moment.

    Everything else is the socket's own.

    Parameters
    ----------
    wrapped
        The socket; blocking.
    most_bytes
        What is read of it at most.
    end_s
        When reading ends, monotonic seconds.
    """

    def __init__(self, wrapped: socket.socket, most_bytes: int, end_s: float) -> None:
        self.wrapped = wrapped
        self._most_bytes = most_bytes
        self._end_s = end_s
        self._taken = bytearray()

    def recv(self, size: int) -> bytes:
        """Return what has come, at most ``size`` bytes.

        Raises
        ------
        TooLongAnswerError
            The bytes or the time are used up.
        OSError
            By the socket.
        """
        left_s = self._end_s - time.monotonic()
        left = self._most_bytes - len(self._taken)
        if left <= 0 or left_s <= 0.0:
            message = f"the answer does not end: {len(self._taken)} bytes so far"
            raise TooLongAnswerError(message)
        self.wrapped.settimeout(max(left_s, _SHORTEST_S))
        data = self.wrapped.recv(min(size, left))
        self._taken += data
        return data

    def answer(self) -> Reply | None:
        """Return the HTTP answer with as much of its body as came; None before its head's end."""
        head, end, body = bytes(self._taken).partition(_END_OF_HEAD)
        line, _, rest = head.partition(b"\r\n")
        parts = line.decode("latin-1").split(" ", 2)
        if not end or len(parts) < 2 or not parts[1].isdecimal():
            return None
        try:
            found = http.client.parse_headers(io.BytesIO(rest + _END_OF_HEAD))
        except http.client.HTTPException:  # more of them than any server sends
            return None
        headers = {name.lower(): value for name, value in found.items()}
        return Reply(int(parts[1]), parts[2] if len(parts) > 2 else "", headers, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)
