"""A TCP proxy on loopback: it ends TLS for a server that has none, or makes the way to it bad."""

import asyncio
import random
import ssl
import threading
import time
from types import TracebackType
from typing import Self

from tests.support.polling import until

_CHUNK_BYTES = 65_536
# Under way in each direction of a connection; more would only pile up in this process.
_CHUNKS = 256
_PIECES_PER_S = 20


class Delay:
    """How long bytes are under way; shared by the proxies of one server.

    Parameters
    ----------
    shortest_s, longest_s
        Each chunk's time is drawn between these; chunks stay in order.
    seed
        Of these times.

    Attributes
    ----------
    bytes_per_s
        How many get through, in each direction of each connection; None: all.
    """

    def __init__(self, shortest_s: float = 0.0, longest_s: float = 0.0, seed: int = 0) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._random = random.Random(seed)  # noqa: S311 - repeatable by seed
        self.stalled_until = 0.0
        self.bytes_per_s: float | None = None

    def between(self, shortest_s: float, longest_s: float) -> None:
        """Let chunks that set out from now on be under way for so long."""
        self._shortest_s, self._longest_s = shortest_s, longest_s

    def due(self) -> float:
        """Return when a chunk that sets out now arrives, monotonic seconds."""
        return time.monotonic() + self._random.uniform(self._shortest_s, self._longest_s)

    def stall(self, seconds: float) -> None:
        """Let nothing arrive for a while; connections stay open, and nothing is lost."""
        self.stalled_until = time.monotonic() + seconds


class TcpProxy:
    """Passes the bytes of every connection on to a server on loopback; a context manager.

    Parameters
    ----------
    target
        Port of the server.
    port
        Where to listen; 0 for any free port.
    tls
        Ends TLS with this; the server gets plain bytes.
    delay
        How long the bytes take, in each direction; none: no longer than they must.
    """

    def __init__(
        self,
        target: int,
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        delay: Delay | None = None,
    ) -> None:
        self.port = port
        self.connections = 0
        self._cuts = 0
        self._target = target
        self._tls = tls
        self._delay = delay or Delay()
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until(self._listens.is_set, "the proxy to listen")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def lead_to(self, target: int) -> None:
        """Take new connections to another port; those that are open stay where they are."""
        self._target = target

    def cut(self) -> None:
        """Let each open connection break amid the next bytes that pass: half of them arrive."""
        self._cuts += 1

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        cuts = self._cuts
        ends = [back]
        try:
            far, out = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(out)
            async with asyncio.TaskGroup() as group:
                for source, target in ((near, out), (far, back)):
                    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)
                    group.create_task(self._take(source, under_way))
                    group.create_task(self._deliver(under_way, target, cuts))
        except* OSError:
            pass  # one side has gone: so does the other
        finally:
            for end in ends:
                end.close()

    async def _take(
        self, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        data = b"."
        while data:
            data = await source.read(_CHUNK_BYTES)
            await under_way.put((self._delay.due(), data))

    async def _deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter, cuts: int
    ) -> None:
        while True:
            due, data = await under_way.get()
            await self._until(due)
            if not data:
                target.close()
                return
            if self._cuts != cuts:
                target.write(data[: len(data) // 2])
                await target.drain()
                raise ConnectionAbortedError
            await self._send(data, target)

    async def _send(self, data: bytes, target: asyncio.StreamWriter) -> None:
        while data:
            per_s = self._delay.bytes_per_s
            size = len(data) if per_s is None else max(int(per_s / _PIECES_PER_S), 1)
            piece, data = data[:size], data[size:]
            if per_s is not None:
                await asyncio.sleep(len(piece) / per_s)
            target.write(piece)
            await target.drain()

    async def _until(self, due: float) -> None:
        # Another thread may begin a stall meanwhile, hence no event to wait for.
        while (left := max(due, self._delay.stalled_until) - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
