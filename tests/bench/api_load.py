"""A load generator: ``python -m tests.bench.api_load PORT CONNECTIONS SECONDS SYMBOL...``.

Each connection is kept alive and asks again as soon as it has its answer, as wrk does. Every answer
is checked: 200, and no older than the one before of its symbol on the connection.
"""

import asyncio
import json
import sys
import time
from itertools import cycle
from typing import cast

import uvloop


class Client(asyncio.Protocol):
    """One connection that reads latest scores for a while."""

    def __init__(self, symbols: list[str], until_s: float) -> None:
        self._requests = cycle(
            (symbol, f"GET /scores/{symbol} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            for symbol in symbols
        )
        self._until_s = until_s
        self._buffer = b""
        self._newest: dict[str, int] = {}
        self._symbol = ""
        self._asked_s = 0.0
        self._transport: asyncio.Transport
        self.seconds: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; ask again once it is whole."""
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        now_s = time.perf_counter()
        self.seconds.append(now_s - self._asked_s)
        try:
            self._check(head, body)
        except (AssertionError, ValueError) as error:
            self.ended.set_exception(error)
            return
        if now_s < self._until_s:
            self._ask()
        else:
            self._transport.close()
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail where the server hung up."""
        if not self.ended.done():
            self.ended.set_exception(error or EOFError("the server hung up"))

    def _ask(self) -> None:
        self._symbol, request = next(self._requests)
        self._asked_s = time.perf_counter()
        self._transport.write(request)

    def _check(self, head: bytes, body: bytes) -> None:
        assert head.startswith(b"HTTP/1.1 200"), head + body
        offset = int(body.partition(b'"offset":')[2].partition(b",")[0])
        assert offset >= self._newest.get(self._symbol, -1), "an older score than before"
        self._newest[self._symbol] = offset


async def load(port: int, connections: int, seconds: float, symbols: list[str]) -> dict[str, float]:
    """Read for so many seconds; return how many reads there were, and how long they took."""
    loop = asyncio.get_running_loop()
    until_s = time.perf_counter() + seconds
    clients = []
    for number in range(connections):
        turned = symbols[number % len(symbols) :] + symbols[: number % len(symbols)]
        _, client = await loop.create_connection(
            lambda turned=turned: Client(turned, until_s), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.ended for client in clients))
    taken = sorted(second for client in clients for second in client.seconds)
    return {
        "reads": len(taken),
        "p50_ms": 1e3 * taken[len(taken) // 2],
        "p99_ms": 1e3 * taken[len(taken) * 99 // 100],
    }


def main(arguments: list[str]) -> None:
    """Print the result as one line of JSON."""
    port, connections, seconds, *symbols = arguments
    found = uvloop.run(load(int(port), int(connections), float(seconds), symbols))
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
