"""Bring Redis up to date at start: the last run may have ended between a commit and Redis."""

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec
import structlog

from flows.codec.batch import RawBatch
from flows.codec.outputs import Latest
from flows.connectors.kafka.client import ClientConfig
from flows.connectors.kafka.positions import Offset
from flows.connectors.kafka.reader import read_tail
from flows.connectors.redis.latest import LatestWriter
from flows.errors import VoltickError
from schemas import topics
from schemas.decoding import decode_or_none

# More than a run commits between two writes to Redis.
TAIL_MESSAGES = 20_000


class _Head(msgspec.Struct):
    """The fields of a prediction that decide which one is newest."""

    symbol: str
    partition: int
    offset: Offset
    ts_scored_ns: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A prediction from the topic, with its Kafka timestamp, milliseconds."""

    latest: Latest
    at_ms: int


def restore_latest(
    config: ClientConfig, latest: LatestWriter, without: Collection[int] = ()
) -> None:
    """Hand the last committed predictions over once more, by a thread; the newest win.

    Parameters
    ----------
    without
        Partitions that start anew: what is on the topic came from another log.
    """

    def run() -> None:
        try:
            found = newest(read_tail(config, topics.PREDICTIONS, TAIL_MESSAGES))
        except VoltickError as error:
            structlog.get_logger().warning("Redis not brought up to date", cause=str(error))
            return
        now_ms = time.time_ns() // 1_000_000
        for each in found:
            if each.latest.partition not in without:
                latest.put([each.latest], max(now_ms - each.at_ms, 0) / 1000)

    threading.Thread(target=run, name="restore-latest", daemon=True).start()


def newest(batches: Iterable[RawBatch]) -> list[Committed]:
    """Return the last prediction of each symbol and partition, in the order of the topic.

    Where a partition's input offsets begin anew, its log was recreated: what came before is left
    out.
    """
    decode = msgspec.json.Decoder(_Head).decode
    found: dict[int, dict[str, Committed]] = {}
    reached: dict[int, int] = {}
    for batch in batches:
        for value, at_ms in zip(batch.values, batch.timestamps_ms, strict=True):
            head = decode_or_none(decode, value)
            if head is None or head.partition != batch.partition:
                continue  # not ours: the topic may be shared
            own = found.setdefault(head.partition, {})
            if head.offset < reached.get(head.partition, 0):
                own.clear()
            reached[head.partition] = head.offset
            own.pop(head.symbol, None)
            entry = Latest(head.symbol, head.offset, head.ts_scored_ns, value, head.partition)
            own[head.symbol] = Committed(entry, at_ms)
    return [each for own in found.values() for each in own.values()]
