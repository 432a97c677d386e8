"""The end of a prediction is found without decoding it, in what the flow really writes."""

import numpy as np
import pytest

from flows.codec.encode import SymbolText, predictions
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from tests.bench.reading import input_of
from tests.support.ticks import random_log


def test_input_and_moment_of_the_flows_own_messages() -> None:
    batch = random_log(seed=1, n=20)
    symbols = SymbolTable()
    symbols.intern("venue", 'quoted"symbol')
    text = SymbolText(symbols)
    text.refresh()
    rows = np.arange(20)
    values = predictions(batch, FeatureState().update(batch), rows, [], 987_654_321, text)
    assert [input_of(value) for value in values] == [(k, 987_654_321) for k in range(20)]


@pytest.mark.parametrize("value", [b"", b"{}", b'{"partition":0,"offset":5}'])
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a prediction"):
        input_of(value)
