from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.coinbase_advanced.book import Book

changes = st.tuples(
    st.sampled_from(["bid", "offer"]),
    st.integers(1, 12).map(float),
    st.sampled_from([0.0, 1.0, 2.5]),
)


@given(st.lists(changes, max_size=60))
def test_best_quotes_are_those_of_a_plain_search(steps: list[tuple[str, float, float]]) -> None:
    book = Book()
    levels: dict[str, dict[float, float]] = {"bid": {}, "offer": {}}
    for side, price, quantity in steps:
        book.set(side, price, quantity)
        levels[side].pop(price, None)
        if quantity:
            levels[side][price] = quantity
        bid = max(levels["bid"], default=None)
        ask = min(levels["offer"], default=None)
        assert book.quote() == (bid, ask, levels["bid"].get(bid), levels["offer"].get(ask))


def test_a_level_that_comes_and_goes_for_days_does_not_fill_memory() -> None:
    book = Book()
    book.set("bid", 100.0, 1.0)
    for _ in range(5_000):
        book.set("bid", 99.0, 1.0)
        book.set("bid", 99.0, 0.0)
    assert len(book._bids._heap) < 3_000
    assert book.quote() == (100.0, None, 1.0, None)
