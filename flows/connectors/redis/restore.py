"""Bring Redis up to date at start: the last run may have ended between a commit and Redis."""

import threading

import msgspec
import structlog

from flows.codec.batch import RawBatch
from flows.codec.outputs import Latest
from flows.connectors.kafka.client import ClientConfig
from flows.connectors.kafka.reader import read_tail
from flows.connectors.redis.latest import LatestWriter
from flows.errors import VoltickError
from schemas import topics

# More than a run commits between two writes to Redis.
TAIL_MESSAGES = 20_000


class _Head(msgspec.Struct):
    """The fields of a prediction that decide which one is newest."""

    symbol: str
    offset: int
    ts_scored_ns: int


def restore_latest(config: ClientConfig, latest: LatestWriter) -> None:
    """Hand the last committed predictions over once more, by a thread; the newest win."""

    def run() -> None:
        try:
            for batch in read_tail(config, topics.PREDICTIONS, TAIL_MESSAGES):
                latest.put(newest(batch))
        except VoltickError as error:
            structlog.get_logger().warning("Redis not brought up to date", cause=str(error))

    threading.Thread(target=run, name="restore-latest", daemon=True).start()


def newest(batch: RawBatch) -> list[Latest]:
    """Return the last prediction of each symbol of a batch of ``predictions``."""
    decoder = msgspec.json.Decoder(_Head)
    found: dict[str, Latest] = {}
    for value in batch.values:
        try:
            head = decoder.decode(value)
        except msgspec.DecodeError:
            continue  # not ours: the topic may be shared
        found[head.symbol] = Latest(head.symbol, head.offset, head.ts_scored_ns, value)
    return list(found.values())
