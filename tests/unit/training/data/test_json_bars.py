"""Bars come out right from JSON as venues' REST gives it, and what is none is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.errors import TrainingError
from tests.support.bar_files import MINUTE, NS, csv, rows
from training.data.bar_files import read_bars

BARS = [
    (int(row.timestamp), row.open, row.high, row.low, row.close, row.volume)
    for row in rows().itertuples()
]
NAMES = ("time", "open", "high", "low", "close", "volume")
OBJECTS = [dict(zip(NAMES, bar, strict=True)) for bar in BARS]
BINANCE = [
    [
        t * 1_000,
        str(o),
        str(h),
        str(lo),
        str(c),
        str(v),
        t * 1_000 + 59_999,
        "9.0",
        3,
        "1",
        "1",
        "0",
    ]
    for t, o, h, lo, c, v in BARS
]
ARRAYS = {
    "Binance": BINANCE,
    "pages of Binance": [BINANCE[:2], BINANCE[2:]],
    "Coinbase Exchange, newest first": [[t, lo, h, o, c, v] for t, o, h, lo, c, v in BARS[::-1]],
    "Bitfinex": [[t * 1_000, o, c, h, lo, v] for t, o, h, lo, c, v in BARS],
    "KuCoin": {
        "code": "200000",
        "data": [[str(each) for each in (t, o, c, h, lo, v, 9.0)] for t, o, h, lo, c, v in BARS],
    },
    "Kraken": {
        "error": [],
        "result": {
            "XXBTZUSD": [
                [t, str(o), str(h), str(lo), str(c), str((h + lo) / 2), str(v), 7]
                for t, o, h, lo, c, v in BARS
            ],
            "last": BARS[-1][0],
        },
    },
    "Bybit": {
        "retCode": 0,
        "result": {
            "symbol": "BTCUSDT",
            "list": [[str(each) for each in (1_000 * bar[0], *bar[1:], 9.0)] for bar in BARS],
        },
    },
    "OKX": {
        "code": "0",
        "data": [[str(each) for each in (1_000 * bar[0], *bar[1:], 9, 9, 1)] for bar in BARS],
    },
}
NAMED = {
    "objects": OBJECTS,
    "Coinbase Advanced": {
        "candles": [
            {"start": str(t), "low": str(lo), "high": str(h), "open": str(o), "close": str(c)}
            | {"volume": str(v)}
            for t, o, h, lo, c, v in BARS[::-1]
        ]
    },
    "Polygon": {
        "ticker": "X:BTCUSD",
        "results": [
            {"v": v, "vw": c, "o": o, "c": c, "h": h, "l": lo, "t": t * 1_000, "n": 3}
            for t, o, h, lo, c, v in BARS
        ],
    },
    "CryptoCompare": {
        "Response": "Success",
        "Data": {
            "Aggregated": False,
            "Data": [
                {("volumefrom" if key == "volume" else key): value for key, value in each.items()}
                for each in OBJECTS
            ],
        },
    },
    "columns, as Finnhub": {
        "s": "ok",
        **{name[0]: [bar[at] for bar in BARS] for at, name in enumerate(NAMES)},
    },
}
CASES: dict[str, Any] = ARRAYS | NAMED


def check(path: Path) -> None:
    (bars,) = read_bars([path])
    wanted = rows()
    assert bars.ts_ns.tolist() == (wanted["timestamp"] * NS).tolist()
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(getattr(bars, name), wanted[name], rtol=1e-12, err_msg=name)
    assert bars.interval_s == MINUTE


@pytest.mark.parametrize("case", CASES)
def test_every_venues_answer_is_read(case: str, tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.json").write_text(json.dumps(CASES[case]))
    check(tmp_path / "BTCUSDT.json")


@pytest.mark.parametrize("made", [BINANCE, OBJECTS], ids=["arrays", "objects"])
def test_a_row_a_line_is_read(made: list[Any], tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(each) for each in made)
    (tmp_path / "BTCUSDT.jsonl.gz").write_bytes(gzip.compress(lines.encode() + b"\n"))
    check(tmp_path / "BTCUSDT.jsonl.gz")


def test_the_contents_tell_whatever_the_name_says(tmp_path: Path) -> None:
    (tmp_path / "bars.txt").write_text(f"\ufeff\n{json.dumps(BINANCE, indent=1)}")
    check(tmp_path / "bars.txt")


def test_markets_come_from_the_files_names_or_a_key(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-1m.json").write_text(json.dumps(BINANCE))
    both = [{**each, "symbol": name} for each in OBJECTS for name in ("ETH-USD", "SOL-USD")]
    (tmp_path / "others.json").write_text(json.dumps(both))
    assert [each.name for each in read_bars([tmp_path])] == ["BTCUSDT", "ETHUSD", "SOLUSD"]


def test_beside_tables_json_is_a_note_about_them(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(csv(rows()))
    (tmp_path / "about.json").write_text('{"source": "somewhere"}')
    check(tmp_path)


def changed(row: int, **cells: object) -> str:
    return json.dumps([{**each, **cells} if at == row else each for at, each in enumerate(OBJECTS)])


REFUSED = {
    "cut": (json.dumps(OBJECTS)[:-30], r"a\.json begins as JSON and is none, or is cut"),
    "an error of the venue": ('{"code":-1121,"msg":"Invalid symbol."}', r"no list of rows"),
    "nothing": ("[]", r"no list of rows"),
    "words": ('["a", "b"]', r"no list of rows"),
    "a pair of numbers": ("[[1, 2], [3, 4]]", r"no list of rows"),
    "two lists": (json.dumps({"a": BINANCE, "b": BINANCE}), r"several lists of rows: a, b"),
    "a row too short": (json.dumps([*BINANCE, [1, 2]]), r"a\.json, row 7: it is not made as"),
    "arrays and objects": (json.dumps([*OBJECTS, [1] * 6]), r"a\.json, row 7: it is not made as"),
    "no prices": (
        '[{"time": 1735689600, "mid": {"o": 1}}]',
        r"missing open, high, low, close; it has",
    ),
    "in no known order": (
        json.dumps([[t, h, o, lo, c, v] for t, o, h, lo, c, v in BARS]),
        r"has no header, and its 6 columns are not those",
    ),
    "a word for a price": (changed(3, high="high"), r"row 4: high is 'high', not a number"),
    "null for a price": (changed(3, close=None), r"row 4: close is None, missing"),
    "true for a price": (changed(3, close=True), r"row 4: close is None, missing"),
    "a negative price": (changed(3, low=-1), r"row 4: low is '-1', not a positive"),
    "no time": (changed(3, time="soon"), r"row 4: time is 'soon', not a time"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_holds_no_bars_is_named(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(TrainingError, match=message):
        read_bars([tmp_path / "a.json"])
