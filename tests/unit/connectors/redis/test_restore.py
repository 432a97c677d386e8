"""Which predictions of the topic's tail bring Redis up to date."""

import msgspec

from flows.codec.batch import RawBatch
from flows.connectors.redis.restore import newest


def value(symbol: str, partition: int, offset: int) -> bytes:
    return msgspec.json.encode(
        {"symbol": symbol, "partition": partition, "offset": offset, "ts_scored_ns": 1}
    )


def batch(partition: int, *values: bytes) -> RawBatch:
    offsets = list(range(len(values)))
    return RawBatch(partition, list(values), offsets, [100 + at for at in offsets], len(values))


def found(*batches: RawBatch) -> list[tuple[str, int, int, int]]:
    return [
        (each.latest.symbol, each.latest.partition, each.latest.offset, each.at_ms)
        for each in newest(batches)
    ]


def test_the_last_of_each_symbol_and_partition_is_taken():
    first = batch(0, value("A", 0, 1), value("B", 0, 2), value("A", 0, 3))
    second = batch(1, value("A", 1, 7))
    third = batch(0, value("B", 0, 4))
    assert found(first, second, third) == [("A", 0, 3, 102), ("B", 0, 4, 100), ("A", 1, 7, 100)]


def test_foreign_bytes_are_passed_over():
    foreign = [
        b"",
        b"\xff",
        b'{"symbol":"\xff","partition":0,"offset":9,"ts_scored_ns":1}',
        b"[" * 100_000,
        b'{"symbol":"A","partition":0,"offset":99999999999999999999,"ts_scored_ns":1}',
        value("A", 5, 9),
        value("A", 0, -1),
    ]
    assert found(batch(0, value("A", 0, 1), *foreign)) == [("A", 0, 1, 100)]


def test_what_a_recreated_log_left_is_passed_over():
    old = [value("A", 0, 500), value("B", 0, 501)]
    assert found(batch(0, *old, value("A", 0, 0))) == [("A", 0, 0, 102)]
