"""``Continuity.follow`` against ``admit`` alone, which decides on every tick."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.base import ParsedFrame
from flows.feeds.continuity import MEMORY_NS, Continuity
from schemas.ticks import Tick

IDS = st.one_of(st.none(), st.integers(1, 9))
TICKS = st.builds(
    Tick,
    symbol=st.sampled_from(["BTC-USD", "ETH-USD"]),
    venue=st.just("v"),
    ts_event_ns=st.sampled_from([1, 2, MEMORY_NS + 3]),
    price=st.just(1.0),
    trade_id=IDS,
    gap=st.booleans(),
)
FRAMES = st.one_of(
    st.just(ParsedFrame(lost=True)),
    st.just(ParsedFrame(reconnected=True)),
    st.builds(
        lambda symbol, trade_id: ParsedFrame(last_trade=(symbol, trade_id)),
        st.sampled_from(["BTC-USD", "ETH-USD"]),
        st.integers(1, 9),
    ),
)
RUNS = st.builds(  # of ids one after the other, which are what is followed
    lambda first, symbol: [
        Tick(symbol=symbol, venue="v", ts_event_ns=n, price=1.0, trade_id=first + n)
        for n in range(4)
    ],
    st.integers(1, 6),
    st.sampled_from(["BTC-USD", "ETH-USD"]),
)
EVENTS = st.lists(st.one_of(TICKS, FRAMES, RUNS), max_size=20)


@given(EVENTS, st.booleans(), st.booleans())
def test_following_changes_nothing_that_admitting_would_not(
    events: list[Tick | ParsedFrame | list[Tick]], complete: bool, begins: bool
) -> None:
    by_both, by_admit = Continuity(begins=begins), Continuity(begins=begins)
    flat = [one for event in events for one in (event if isinstance(event, list) else [event])]
    for event in flat:
        if isinstance(event, ParsedFrame):
            by_both.observe(event)
            by_admit.observe(event)
            continue
        found = event if by_both.follow(event) else by_both.admit(event, complete=complete)
        assert found == by_admit.admit(event, complete=complete)
        assert by_both._tracks == by_admit._tracks
    assert (by_both.gaps, by_both.repeats) == (by_admit.gaps, by_admit.repeats)


def test_a_tick_is_followed_only_where_nothing_is_open() -> None:
    continuity = Continuity()
    first = Tick(symbol="BTC-USD", venue="v", ts_event_ns=1, price=1.0, trade_id=1)
    assert not continuity.follow(first)
    continuity.admit(first)
    second = msgspec.structs.replace(first, trade_id=2)
    assert not continuity.follow(msgspec.structs.replace(second, gap=True))
    assert continuity.follow(second)
    assert not continuity.follow(second)
