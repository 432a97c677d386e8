"""Parquet ticks of other makers come out right; files of two logs stay two logs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.codec.batch import NO_TRADE_ID
from flows.errors import TrainingError
from training.data.build import compute_features
from training.data.parquet import read_parquet

START = 1_770_000_000
NS = 10**9


def ticks(count: int = 10, first: int = 0, **more: object) -> dict[str, object]:
    """Columns of one tick a second, whose price is 100 plus its number."""
    number = np.arange(first, first + count)
    return {
        "symbol": ["BTC-USD"] * count,
        "venue": ["binance"] * count,
        "ts_event_ns": (START + number) * NS,
        "price": 100.0 + number,
        **more,
    }


def write(path: Path, columns: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


SECONDS = pa.array(START + np.arange(10)).cast(pa.timestamp("s"))
STAMPS = pd.Series(pd.to_datetime(START + np.arange(10), unit="s"))
TIMES = {
    "timestamp[s]": SECONDS,
    "timestamp[ms]": SECONDS.cast(pa.timestamp("ms")),
    "timestamp[us, UTC]": SECONDS.cast(pa.timestamp("us", "UTC")),
    "timestamp[ns, New York]": SECONDS.cast(pa.timestamp("ns", "UTC")).cast(
        pa.timestamp("ns", "America/New_York")
    ),
    "seconds": pa.array(START + np.arange(10)),
    "milliseconds": pa.array((START + np.arange(10)) * 1_000),
    "microseconds": pa.array((START + np.arange(10)) * 10**6),
    "mixed by row": pa.array((START + np.arange(10)) * np.array([1, 1_000, 10**6, NS, 1] * 2)),
    "float seconds": pa.array((START + np.arange(10)).astype(float)),
    "text": pa.array(STAMPS.dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
    "dictionary of text": pa.array(STAMPS.dt.strftime("%Y-%m-%d %H:%M:%S")).dictionary_encode(),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_type_and_unit_are_read(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ticks(ts_event_ns=TIMES[kind]))
    (log,) = read_parquet(path)
    assert log.batch.ts_event_ns.tolist() == ((START + np.arange(10)) * NS).tolist()


COLUMNS = {
    "price as text": ("price", pa.array([f"{100 + k}.5" for k in range(10)]), 100.5),
    "price as decimal": (
        "price",
        pa.array([100.5 + k for k in range(10)]).cast(pa.decimal128(18, 8)),
        100.5,
    ),
    "price as float32": ("price", pa.array([100.5 + k for k in range(10)], pa.float32()), 100.5),
    "size as text": ("size", pa.array(["1.25"] * 10), 1.25),
    "side as words": ("side", pa.array(["BUY", "Sell"] * 5), 1),
    "side as letters": ("side", pa.array(["s", "b"] * 5), -1),
    "side as text numbers": ("side", pa.array(["-1", "1"] * 5), -1),
    "side unknown": ("side", pa.array([None, "buy"] * 5), 0),
    "gap as number": ("gap", pa.array([1] + [0] * 9), True),
    "ids of zero": ("trade_id", pa.array([0] * 10), -1),
    "ids that pandas made floats": ("trade_id", pa.array([5.0] + [float("nan")] * 9), 5),
    "gap that pandas made floats": ("gap", pa.array([1.0] + [float("nan")] * 9), True),
    "the maker buys": ("is_buyer_maker", pa.array([True, False] * 5), None),
    "ids that are no numbers": ("trade_id", pa.array(["2b-1c"] * 10), -1),
    "gap as a word": ("gap", pa.array(["True"] + ["false"] * 9), True),
    "ids as text": ("trade_id", pa.array([str(5 + k) for k in range(10)]), 5),
    "dictionary-encoded": ("symbol", pa.array(["BTC-USD"] * 10).dictionary_encode(), None),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_of_other_types_are_read(case: str, tmp_path: Path) -> None:
    name, column, first = COLUMNS[case]
    (log,) = read_parquet(write(tmp_path / "a.parquet", ticks(**{name: column})))
    assert len(log) == 10
    assert log.names == ["binance:BTC-USD"]
    if first is not None:
        assert getattr(log.batch, name)[0] == first


@pytest.mark.parametrize("nothing", [0.0, -1.0, float("nan"), float("inf"), None])
@pytest.mark.parametrize("name", ["bid", "ask", "size"])
def test_a_quote_or_size_that_is_none_leaves_the_trade(
    name: str, nothing: float | None, tmp_path: Path
) -> None:
    (log,) = read_parquet(
        write(
            tmp_path / "a.parquet",
            ticks(bid=[99.0] * 10, ask=[300.0] * 10, bid_size=[1.0] * 10, ask_size=[1.0] * 10)
            | {name: [nothing, 99.5] * 5},
        )
    )
    assert (len(log), log.dead) == (10, 0)
    assert np.isnan(getattr(log.batch, name)[::2]).all()
    assert (getattr(log.batch, name)[1::2] == 99.5).all()
    if name != "size":
        assert np.isnan(getattr(log.batch, f"{name}_size")).tolist() == [True, False] * 5


def test_a_crossed_quote_leaves_the_trade(tmp_path: Path) -> None:
    (log,) = read_parquet(
        write(tmp_path / "a.parquet", ticks(bid=[99.0, 102.0] * 5, ask=[101.0] * 10))
    )
    assert (len(log), log.dead) == (10, 0)
    assert np.isnan(log.batch.bid).tolist() == [False, True] * 5
    assert np.isnan(log.batch.ask).tolist() == [False, True] * 5


def test_usual_names_of_columns_are_known(tmp_path: Path) -> None:
    columns = ticks(qty=[2.0] * 10)
    columns["Timestamp"] = columns.pop("ts_event_ns")
    columns["exchange"] = columns.pop("venue")
    (log,) = read_parquet(write(tmp_path / "a.parquet", columns))
    assert log.names == ["binance:BTC-USD"]
    assert log.batch.size.tolist() == [2.0] * 10
    assert log.batch.ts_event_ns[0] == START * NS


def test_files_of_two_logs_lose_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ticks(1_000, offset=np.arange(1_000)))
    write(tmp_path / "b.parquet", ticks(1_000, 1_000, offset=np.arange(1_000)))
    logs = read_parquet(tmp_path)
    assert [len(log) for log in logs] == [1_000, 1_000]
    assert [log.batch.price[0] for log in logs] == [100.0, 1_100.0]
    assert len({log.name for log in logs}) == 2


def test_the_makers_side_tells_the_takers(tmp_path: Path) -> None:
    maker = pa.array(["true", "False", None, "true", "true"] * 2)
    (log,) = read_parquet(write(tmp_path / "a.parquet", ticks(isBuyerMaker=maker)))
    assert log.batch.side.tolist() == [-1, 1, 0, -1, -1] * 2


@pytest.mark.parametrize("offsets", [[3_600] * 10, [0, 1, 2, 3, 4] * 2], ids=["zone", "again"])
def test_an_offset_that_is_none_of_a_log_loses_nothing(offsets: list[int], tmp_path: Path) -> None:
    (log,) = read_parquet(write(tmp_path / "a.parquet", ticks(offset=offsets)))
    assert log.batch.price.tolist() == (100.0 + np.arange(10)).tolist()


def test_a_row_that_stands_twice_at_its_offset_is_one_tick(tmp_path: Path) -> None:
    twice = {name: np.repeat(column, 2) for name, column in ticks(10).items()}
    twice["offset"] = np.repeat(np.arange(10), 2)
    (log,) = read_parquet(write(tmp_path / "a.parquet", twice))
    assert log.batch.price.tolist() == (100.0 + np.arange(10)).tolist()


def test_files_of_one_log_are_put_together_by_their_offsets(tmp_path: Path) -> None:
    for name, first, count in (("part-10", 20, 10), ("part-2", 10, 15), ("part-1", 0, 10)):
        columns = ticks(count, first, offset=np.arange(first, first + count))
        write(tmp_path / f"{name}.parquet", columns)
    (log,) = read_parquet(tmp_path)
    assert log.batch.offset.tolist() == list(range(30))
    assert log.batch.price.tolist() == (100.0 + np.arange(30)).tolist()


@pytest.mark.parametrize(
    "names", [("t-2", "t-10"), ("t-10", "t-2"), ("z", "a")], ids=["rising", "falling", "letters"]
)
def test_files_without_offsets_are_put_together_by_time(
    names: tuple[str, str], tmp_path: Path
) -> None:
    write(tmp_path / f"{names[0]}.parquet", ticks(10))
    write(tmp_path / f"{names[1]}.parquet", ticks(10, 7))
    (log,) = read_parquet(tmp_path)
    assert log.batch.price.tolist() == (100.0 + np.arange(17)).tolist()
    assert log.batch.offset.tolist() == list(range(17))


def test_equal_ticks_of_one_file_are_all_kept(tmp_path: Path) -> None:
    twice = {name: np.repeat(column, 2) for name, column in ticks(10).items()}
    write(tmp_path / "a.parquet", twice)
    write(tmp_path / "b.parquet", twice)
    (log,) = read_parquet(tmp_path)
    assert len(log) == 20


def test_late_ticks_stay_late(tmp_path: Path) -> None:
    order = np.array([0, 1, 4, 2, 3, 5])
    late = {name: np.asarray(column)[order] for name, column in ticks(6).items()}
    write(tmp_path / "a.parquet", late)
    write(tmp_path / "b.parquet", ticks(5, 6))
    (log,) = read_parquet(tmp_path)
    assert log.batch.price.tolist() == [100, 101, 104, 102, 103, *range(105, 111)]


@pytest.mark.parametrize("pieces", [2, 5, 400], ids=["two", "five", "rows"])
def test_pieces_in_any_order_are_put_in_order_of_time(pieces: int, tmp_path: Path) -> None:
    """As a writer that works in parallel leaves them; it may give them no offsets."""
    generator = np.random.default_rng(1)
    parts = np.array_split(np.arange(400), pieces)
    order = np.concatenate([parts[at] for at in generator.permutation(pieces)[::-1]])
    assert (order != np.arange(400)).any()
    mixed = {name: np.asarray(column)[order] for name, column in ticks(400).items()}
    (log,) = read_parquet(write(tmp_path / "a.parquet", mixed))
    assert log.batch.price.tolist() == (100.0 + np.arange(400)).tolist()
    assert log.batch.offset.tolist() == list(range(400))


def test_symbols_one_after_the_other_are_in_order(tmp_path: Path) -> None:
    """The times of a symbol rise: that its rows lie after another's changes no feature."""
    two = {name: np.concatenate([column, column]) for name, column in ticks(400).items()}
    two["symbol"] = np.repeat(["BTC-USD", "ETH-USD"], 400)
    (log,) = read_parquet(write(tmp_path / "a.parquet", two))
    assert log.batch.price.tolist() == [*range(100, 500), *range(100, 500)]


def test_a_file_that_is_written_newest_first_is_turned(tmp_path: Path) -> None:
    turned = {name: np.asarray(column)[::-1] for name, column in ticks(10).items()}
    (log,) = read_parquet(write(tmp_path / "a.parquet", turned))
    assert log.batch.price.tolist() == (100.0 + np.arange(10)).tolist()


def test_stray_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "date=2026-02-02" / "a.parquet", ticks())
    for name in ("README.txt", ".hidden.parquet", "b.parquet.part", "_metadata", "c.parquet.tmp"):
        (tmp_path / name).write_text("nothing")
    (tmp_path / "empty.parquet").touch()
    (log,) = read_parquet(tmp_path)
    assert len(log) == 10


PRICES = [100.0] * 10
REFUSED = {
    "no price": (ticks(price=[-1.0] * 10), r"a\.parquet, row 1: price is not a positive"),
    "old times": (ticks(ts_event_ns=[7] * 10), r"row 1: ts_event_ns is no time after 2008"),
    "side": (ticks(side=["buy", "hold"] * 5), r"row 2: side is 'hold'; known are buy and sell"),
    "a price of yes": (ticks(price=[True] * 10), r"row 1: price is True, not a number"),
    "text": (ticks(price=["1", "a lot"] * 5), r"row 2: price is 'a lot', not a number"),
    "fraction of an id": (ticks(trade_id=[1.5] * 10), r"row 1: trade_id is 1\.5, not a whole"),
    "gap": (ticks(gap=["true", "maybe"] * 5), r"row 2: gap is 'maybe', neither true nor false"),
    "no partition": (ticks(partition=[None, 1] * 5), r"row 1: partition is None, no partition"),
    "words of a partition": (
        ticks(partition=["p0"] * 10),
        r"row 1: partition is 'p0', not a whole",
    ),
    "symbol": (ticks(symbol=[None] * 10), r"row 1: symbol is missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_ticks_are_named(case: str, tmp_path: Path) -> None:
    columns, message = REFUSED[case]
    if case == "symbol":
        columns["symbol"] = pa.array([None] * 10, pa.string())
    with pytest.raises(TrainingError, match=message):
        read_parquet(write(tmp_path / "a.parquet", columns))


def test_two_columns_of_one_name_are_named(tmp_path: Path) -> None:
    columns = [pa.array(each) for each in ticks().values()]
    twice = pa.Table.from_arrays([*columns, columns[-1]], names=[*ticks(), "price"])
    pq.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(
        TrainingError, match=r"a\.parquet has more than one column price; leave one"
    ):
        read_parquet(tmp_path / "a.parquet")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ticks())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TrainingError, match=r"cannot read .*a\.parquet as Parquet"):
        read_parquet(tmp_path)


def test_the_market_may_be_in_the_names_of_folders(tmp_path: Path) -> None:
    """As Spark's ``partitionBy``, DuckDB's ``PARTITION_BY`` and polars write it."""
    whole = pa.table(ticks(20)).set_column(0, "product_id", pa.array(["BTC-USD", "ETH/USD"] * 10))
    pq.write_to_dataset(whole, tmp_path / "made", partition_cols=["venue", "product_id"])
    assert (tmp_path / "made" / "venue=binance" / "product_id=ETH%2FUSD").is_dir()
    (log,) = read_parquet(tmp_path / "made")
    assert sorted(log.names) == ["binance:BTC-USD", "binance:ETH/USD"]
    for name, first in (("binance:BTC-USD", 0), ("binance:ETH/USD", 1)):
        mine = log.batch.symbol_id == log.names.index(name)
        assert log.batch.price[mine].tolist() == (100.0 + np.arange(first, 20, 2)).tolist()


def test_a_column_says_more_than_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "symbol=ETH-USD" / "a.parquet", ticks(3))
    (log,) = read_parquet(tmp_path)
    assert log.names == ["binance:BTC-USD"]


def test_rows_of_no_symbol_in_a_folder_of_their_own_are_unusable(tmp_path: Path) -> None:
    columns = ticks(3)
    del columns["symbol"]
    write(tmp_path / "symbol=__HIVE_DEFAULT_PARTITION__" / "a.parquet", columns)
    write(tmp_path / "symbol=BTC-USD" / "a.parquet", columns)
    (log,) = read_parquet(tmp_path)
    assert {log.names[number] for number in log.batch.symbol_id} == {"binance:BTC-USD"}
    assert (len(log), log.dead) == (3, 3)


def test_numbers_of_rows_are_no_trade_ids(tmp_path: Path) -> None:
    """Each file counts anew: the second day's ticks are no repetitions of the first day's."""
    for day in range(2):
        columns = ticks(600, 600 * day, id=np.arange(1, 601))
        write(tmp_path / f"{day}.parquet", columns)
    (log,) = read_parquet(tmp_path)
    assert compute_features(log.batch).counters["duplicates"] == 0
    assert (log.batch.trade_id == NO_TRADE_ID).all()


@pytest.mark.parametrize("repeated", [600, 100])
def test_trades_that_stand_twice_keep_their_ids(repeated: int, tmp_path: Path) -> None:
    columns = ticks(600, id=np.arange(1, 601))
    again = {name: np.concatenate([column, column[:repeated]]) for name, column in columns.items()}
    (log,) = read_parquet(write(tmp_path / "a.parquet", again))
    assert compute_features(log.batch).counters["duplicates"] == repeated
    assert set(log.batch.trade_id) == set(range(1, 601))
