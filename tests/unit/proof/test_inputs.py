"""The proof's input hits every rule."""

from collections import Counter
from itertools import islice

from schemas.dead_letters import Reason
from tests.oracle.expectation import Expected, expect
from tests.oracle.order import Decision
from tests.proof.inputs import OTHER_VENUE, VENUE, messages
from tests.support.kafka.tools import Message


def judged(seed: int, count: int) -> Expected:
    raw, ends = [], Counter()
    for each in islice(messages(seed, 4), count):
        raw.append(
            Message(each.partition, ends[each.partition], each.timestamp_ms, each.key, each.value)
        )
        ends[each.partition] += 1
    return expect(raw)


def test_same_seed_same_messages() -> None:
    assert list(islice(messages(3, 4), 2000)) == list(islice(messages(3, 4), 2000))
    assert list(islice(messages(3, 4), 50)) != list(islice(messages(4, 4), 50))


def test_every_decision_and_reason_occurs() -> None:
    expected = judged(1, 20_000)
    counts = Counter(row.decision for row in expected.rows.values())
    assert set(counts) == set(Decision) - {Decision.DUPLICATE}
    assert expected.duplicates
    reasons = {reason for letter in expected.dead_letters.values() for reason in letter.reasons}
    elsewhere = {Reason.UNKNOWN_SYMBOL, Reason.BROKEN_FRAME, Reason.UNSCORABLE}
    assert reasons == set(Reason) - elsewhere
    assert expected.inputs == 20_000
    assert len(expected.dead_letters) < 600
    assert any(row.warm for row in expected.rows.values())
    assert {origin[0] for origin in expected.rows} == {0, 1, 2, 3}


def test_gap_marks_of_every_kind_occur() -> None:
    """Of a loss, of a feed that starts again and lost nothing, and of a refused tick."""
    rows = judged(1, 20_000).rows.values()
    kinds = Counter((row.tick.gap, row.gap) for row in rows)
    assert kinds[True, True] > 20
    assert kinds[True, False] > 10, "marked, but its id follows"
    assert kinds[False, True] > 1, "the mark of a refused tick"


def test_receive_clocks_are_behind_by_minutes_and_ticks_are_usable_all_the_same() -> None:
    rows = judged(1, 20_000).rows.values()
    behind = [
        row.tick
        for row in rows
        if row.tick.ts_recv_ns is not None and row.tick.ts_recv_ns < row.tick.ts_event_ns - 10**10
    ]
    assert len(behind) > 20


def test_two_symbols_are_traded_on_two_venues_in_one_partition() -> None:
    venues: dict[tuple[int, str], Counter[str]] = {}
    ids: dict[tuple[str, str], set[int | None]] = {}
    for origin, row in judged(1, 20_000).rows.items():
        tick = row.tick
        venues.setdefault((origin[0], tick.symbol), Counter())[tick.venue] += 1
        ids.setdefault((tick.symbol, tick.venue), set()).add(tick.trade_id)
    both = {symbol: found for (_, symbol), found in venues.items() if len(found) == 2}
    assert sorted(both) == ["S00-USD", "S01-USD"]
    assert all(min(found.values()) > 20 for found in both.values())
    for symbol in both:
        assert (ids[symbol, VENUE] & ids[symbol, OTHER_VENUE]) - {None}, "ids that meet"
