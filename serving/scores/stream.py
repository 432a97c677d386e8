"""One subscription to Redis, fanned out to any number of event streams.

What the pipeline publishes is gathered for up to a tenth of a second and handed to all clients as
one shared chunk of bytes: the cost per client is one write per chunk. Each client's queue is
bounded; a client that reads too slowly loses its oldest chunks, one that does not read at all is
dropped.
"""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from schemas.predictions import Prediction
from schemas.redis_errors import meaning_of
from serving.monitoring.metrics import ApiMetrics
from serving.scores.answers import ForeignEntries
from serving.scores.channel import open_channel
from serving.scores.endings import end_all
from serving.scores.latest import LatestScores
from serving.scores.subscriber import Subscriber

FLUSH_S = 0.1
RECONNECT_S = (0.2, 2.0)
STEADY_S = 5.0
"""A subscription that ends earlier has not stood."""
_STOP_AGAIN_S = 3.0

MAX_CLIENTS = 2000

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_prediction = msgspec.json.Decoder(Prediction).decode


class Broadcaster:
    """Owns the subscription and the clients.

    Parameters
    ----------
    url
        Redis URL; the subscription has a connection of its own.
    latest
        Is told of every message, and of the subscription's life.
    foreign
        Takes note of messages on the channel that are none of ours.

    Attributes
    ----------
    connected
        Set while the subscription stands.
    """

    def __init__(
        self, url: str, latest: LatestScores, metrics: ApiMetrics, foreign: ForeignEntries
    ) -> None:
        self._url = url
        self._latest = latest
        self._metrics = metrics
        self._foreign = foreign
        self._clients: set[Subscriber] = set()
        self._pending: list[tuple[str, bytes]] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._last_flush = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.connected = asyncio.Event()

    def start(self) -> None:
        """Begin to listen, in the running event loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._begin_anew)

    def _begin_anew(self, ended: asyncio.Task[None]) -> None:
        """Start the task again, whatever ended it, unless it was to end."""
        if not self._stopping and not ended.get_loop().is_closed():
            structlog.get_logger().error("score stream ended; it begins anew")
            self.start()

    async def stop(self) -> None:
        """End the subscription and every client's stream."""
        self._stopping = True
        self.close_clients()
        if self._task is not None:
            await end_all([self._task], _STOP_AGAIN_S)
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    def close_clients(self) -> None:
        """End every open stream."""
        for client in self._clients:
            client.close()

    @property
    def client_count(self) -> int:
        """Open streams."""
        return len(self._clients)

    @contextlib.contextmanager
    def _joined(self, client: Subscriber) -> Any:
        self._clients.add(client)
        self._metrics.stream_clients.set(len(self._clients))
        try:
            yield
        finally:
            self._clients.discard(client)
            self._metrics.stream_clients.set(len(self._clients))

    @contextlib.asynccontextmanager
    async def subscribe(self, symbols: frozenset[str] | None) -> AsyncIterator[Subscriber]:
        """Give a queue that fills until the block is left."""
        client = Subscriber(symbols)
        with self._joined(client):
            yield client

    def publish(self, message: bytes) -> None:
        """Take one message of the channel in; it leaves with the next flush."""
        prediction = self._foreign.decode("stream", _prediction, message)
        if prediction is None:
            return
        self._latest.take(prediction)
        if not self._clients:
            return
        event = b"event: score\nid: %d-%d\ndata: %b\n\n" % (
            prediction.partition,
            prediction.offset,
            # Line ends can only lie between JSON's tokens, and would end the event's data.
            message.translate(_LINE_ENDS),
        )
        self._pending.append((prediction.symbol, event))
        if self._flush_timer is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._last_flush + FLUSH_S)
            self._flush_timer = loop.call_at(due, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        self._last_flush = asyncio.get_running_loop().time()
        pending, self._pending = self._pending, []
        everything = b"".join(event for _symbol, event in pending)
        for client in self._clients:
            if client.symbols is None:
                chunk = everything
            else:
                chunk = b"".join(event for symbol, event in pending if symbol in client.symbols)
            if chunk:
                self._metrics.stream_dropped.inc(client.offer(chunk))

    async def _run(self) -> None:
        log = structlog.get_logger()
        clock = asyncio.get_running_loop().time
        delay_s = RECONNECT_S[0]
        told = False
        while not self._stopping:  # an error while a channel closes may take the place of the stop
            begin_s = clock()
            try:
                async with open_channel(self._url, self.publish, self._latest.heard) as channel:
                    self.connected.set()
                    await _first_of(channel.listen(), self._latest.follow(channel.barrier))
            except (RedisError, OSError) as error:
                # A Redis that lets in and refuses what follows is one interruption, not many.
                if clock() - begin_s >= STEADY_S:
                    delay_s, told = RECONNECT_S[0], False
                if self.connected.is_set() and not told:
                    told = True
                    log.warning("score stream interrupted", cause=meaning_of(error))
            except Exception as error:
                # Clients must not wait for ever for what an unexpected error has ended.
                trace = "".join(traceback.format_exception(error))
                log.error("score stream failed; it begins anew", cause=trace)
            finally:
                self.connected.clear()
                self._latest.lost()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_S[1])


async def _first_of(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first ends, then cancel the others; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_all(tasks)
    for task in done:
        task.result()
