import msgspec
import numpy as np
import pytest

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import tick_parser_kernel
from flows.errors import TrainingError
from schemas.ticks import Tick
from schemas.topics import TICKS_RAW
from training.data.decoding import LogDecoder
from training.data.ticklog import concatenate, take

START_NS = 1_700_000_000_000_000_000


def message(n: int, **changes: object) -> bytes:
    symbol = "BTC-USD" if n % 3 else "ETH-USD"
    tick = Tick(
        symbol=symbol, venue="v", ts_event_ns=START_NS + n, price=1 + n / 7, trade_id=n, side=1
    )
    return msgspec.json.encode(msgspec.structs.replace(tick, **changes))


VALUES = [
    *(message(n) for n in range(200)),
    b"no tick",
    message(201, price=-1.0, gap=True),
    b' { "price": 2e0, "venue": "v", "symbol": "LTC\\u002dUSD", "ts_event_ns": 17e17 } ',
    message(203, bid=1.0, ask=2.0),
    *(message(n, size=None, trade_id=None) for n in range(204, 400)),
]


def test_a_log_is_what_decoding_without_compiled_code_makes_of_it() -> None:
    tick_parser_kernel().compile()
    decoder = LogDecoder()
    symbols = SymbolTable()
    batches = []
    letters = []
    for first in range(0, len(VALUES), 100):
        some = VALUES[first : first + 100]
        decoder.add_values(some)
        offsets = list(range(first, first + len(some)))
        raw = RawBatch(0, some, offsets, [-1] * len(some), first + len(some))
        batch, dead = decode(raw, symbols, TICKS_RAW, frozenset())
        batches.append(batch)
        letters += dead
    log, expected = decoder.log("x", "recorded"), concatenate(batches)
    assert log.names == [f"{venue}:{symbol}" for venue, symbol in symbols.names]
    assert log.dead == len(letters) == 3
    assert decoder.dead == {"not_json": 1, "bad_price": 1, "wrong_type": 1}
    for name in ("offset", "symbol_id", "ts_event_ns", "price", "size", "side", "bid", "trade_id"):
        np.testing.assert_array_equal(getattr(log.batch, name), getattr(expected, name))
        assert getattr(log.batch, name).dtype == getattr(expected, name).dtype
    assert log.batch.gap.tolist() == expected.gap.tolist()
    assert log.batch.gap.any()  # the mark of the refused tick
    assert len(take(log.batch, log.batch.gap)) == 1


def test_a_log_of_refused_messages_alone_is_none() -> None:
    decoder = LogDecoder()
    decoder.add_values([b"no tick"])
    assert not decoder
    with pytest.raises(TrainingError, match="too few ticks"):
        decoder.log("x", "recorded")


def test_dead_letters_of_others_count() -> None:
    decoder = LogDecoder()
    _, letters = decode(RawBatch(0, [b"x"], [0], [-1], 1), SymbolTable(), TICKS_RAW, frozenset())
    decoder.count(letters)
    decoder.add_values([message(1)])
    assert decoder.log("x", "recorded").dead == 1
