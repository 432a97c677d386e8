"""Repeats, losses and overtaken ticks are told apart by what lies in the log."""

from collections import Counter

import msgspec

from schemas.ticks import Tick
from tests.oracle.expectation import expect
from tests.proof.repeats import lost, noted, overtaken, repeats
from tests.support.kafka.tools import Message, Outgoing

START_NS = 1_750_000_000 * 10**9


def value(trade_id: int) -> bytes:
    at_ns = START_NS + trade_id * 10**9
    tick = Tick(symbol="A-B", venue="v", ts_event_ns=at_ns, price=1.0 + trade_id, trade_id=trade_id)
    return msgspec.json.encode(tick)


def log(*trade_ids: int) -> list[Message]:
    stamp = START_NS // 10**6
    return [Message(0, at, stamp, b"A-B", value(each)) for at, each in enumerate(trade_ids)]


def handed(*trade_ids: int) -> Counter[tuple[int, bytes]]:
    found: Counter[tuple[int, bytes]] = Counter()
    made = [Outgoing(0, b"A-B", value(each), 0) for each in trade_ids]
    assert list(noted(made, found)) == made
    return found


def found(raw: list[Message], handed_over: Counter[tuple[int, bytes]]) -> tuple[int, int, int, int]:
    duplicates = expect(raw).duplicates
    return (
        repeats(raw, handed_over),
        overtaken(raw, duplicates),
        len(lost(raw, handed_over)),
        len(duplicates),
    )


def test_a_batch_written_twice_is_repeats_and_each_second_copy_a_duplicate() -> None:
    assert found(log(1, 2, 3, 2, 3, 4), handed(1, 2, 3, 4)) == (2, 0, 0, 2)


def test_what_the_source_itself_repeats_is_no_repeat_of_the_producer() -> None:
    assert found(log(1, 2, 2, 3), handed(1, 2, 2, 3)) == (0, 0, 0, 1)


def test_a_batch_written_behind_a_younger_one_is_overtaken() -> None:
    assert found(log(1, 4, 5, 2, 3), handed(1, 2, 3, 4, 5)) == (0, 2, 0, 2)


def test_a_batch_written_behind_a_younger_one_and_twice_is_both() -> None:
    assert found(log(1, 3, 2, 2), handed(1, 2, 3)) == (1, 1, 0, 2)


def test_what_was_never_written_is_lost() -> None:
    assert found(log(1, 3), handed(1, 2, 3)) == (0, 0, 1, 0)


def test_what_is_no_tick_is_passed_over() -> None:
    raw = [*log(1), Message(0, 1, 0, None, b"\xff"), Message(0, 2, 0, None, b"[" * 5_000)]
    assert overtaken(raw, {(0, 1)}) == 0
