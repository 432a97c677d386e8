"""The bounded queue between the broadcaster and one client of the event stream."""

import asyncio
import contextlib
from collections import deque

QUEUE_BYTES = 1 << 20


class Subscriber:
    """The bounded queue of one client.

    Parameters
    ----------
    symbols
        Which symbols it wants; None for all.
    """

    def __init__(self, symbols: frozenset[str] | None) -> None:
        self.symbols = symbols
        self.dropped = 0
        self.closed = False
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._wakeup = asyncio.Event()

    def offer(self, chunk: bytes) -> int:
        """Queue a chunk; return how many older ones had to go."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        dropped = 0
        while self._size > QUEUE_BYTES and len(self._chunks) > 1:
            self._size -= len(self._chunks.popleft())
            dropped += 1
        self.dropped += dropped
        self._wakeup.set()
        return dropped

    def close(self) -> None:
        """Let the reader end."""
        self.closed = True
        self._wakeup.set()

    async def take(self, timeout_s: float) -> bytes:
        """Return everything queued, empty after ``timeout_s`` of silence or when closed."""
        if not self._chunks and not self.closed:
            self._wakeup.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._wakeup.wait()
        taken = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return taken
