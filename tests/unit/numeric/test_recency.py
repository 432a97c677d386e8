"""The ring of recent symbols against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from flows.numeric import recency


@given(
    steps=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=60),
    first=st.integers(0, 7),
)
def test_the_ring_keeps_symbols_in_the_order_of_their_last_ticks(steps, first):
    links = recency.longer_links(recency.new_links(), first)
    links = recency.longer_links(links, 7)
    order: list[int] = []
    for symbol, is_tick in steps:
        if is_tick:
            assert recency.make_newest(links, symbol) == (symbol not in order)
            order = [each for each in order if each != symbol] + [symbol]
        elif symbol in order:
            recency.remove(links, symbol)
            order.remove(symbol)
        found = []
        s = recency.oldest(links)
        while s != recency.NONE:
            found.append(s)
            s = recency.next_newer(links, s)
        assert found == order
