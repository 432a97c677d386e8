"""Numbers of symbols, and those that stand for another symbol once the table was trimmed."""

from collections.abc import Sequence

import numpy as np

from flows.codec.symbols import SymbolTable


def see(table: SymbolTable, names: Sequence[str], offset: int) -> list[int]:
    numbers = [table.intern("v", name) for name in names]
    table.see(np.array(numbers, np.int32), np.arange(offset, offset + len(names)))
    return numbers


def test_numbers_are_given_in_order_of_appearance():
    table = SymbolTable()
    assert see(table, "ABAC", 0) == [0, 1, 0, 2]
    assert table.names == [("v", "A"), ("v", "B"), ("v", "C")]
    assert table.learned == [0, 1, 2]


def test_a_table_below_twice_its_bound_stays_as_it_is():
    table = SymbolTable()
    see(table, "ABCD", 0)
    assert table.trimmed(2) is table


def test_a_trimmed_table_keeps_the_most_recent_symbols_under_their_numbers():
    table = SymbolTable()
    see(table, "ABCDA", 0)
    see(table, "E", 5)
    trimmed = table.trimmed(2)
    assert trimmed.ids == {("v", "A"): 0, ("v", "E"): 4}
    assert trimmed.by_venue == {"v": {"A": 0, "E": 4}}
    assert sorted(trimmed.left_out()) == [1, 2, 3]
    assert trimmed.gap_marks is table.gap_marks
    assert see(trimmed, "FABGHI", 6) == [1, 0, 2, 3, 5, 6]
    assert trimmed.names[1] == ("v", "F")
    assert trimmed.learned == [0, 4, 1, 2, 3, 5, 6]


def test_what_was_decoded_with_the_old_table_is_read_with_it():
    table = SymbolTable()
    see(table, "ABCDE", 0)
    see(table.trimmed(1), "XYZ", 5)
    assert [name for _venue, name in table.names] == list("ABCDE")
    assert table.ids["v", "A"] == 0


def test_a_table_stays_bounded_however_many_symbols_come():
    table, most = SymbolTable(), 0
    for number in range(10_000):
        table = table.trimmed(10)
        see(table, [f"{number}"], number)
        most = max(most, len(table.names))
    assert most == 2 * 10 + 1
