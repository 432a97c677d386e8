"""Recordings read by compiled code against the same read frame by frame."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec.batch import TickBatch
from flows.errors import TrainingError
from flows.feeds.capture import FORMAT
from flows.feeds.shapes.scanner import Scan, scanner_kernel
from tests.support.captures import FRAMES
from training.data import captures
from training.data.captures import read_capture
from training.data.ticklog import TickLog

START_NS = 1_700_000_000_000_000_000
COLUMNS = [one.name for one in fields(TickBatch) if one.name not in {"partition", "ticks"}]


class Stub:
    """A kernel in one form, or in none."""

    def __init__(self, form: Scan | None) -> None:
        self.compile = self.load = lambda: form


@contextlib.contextmanager
def reading_by(form: Scan | None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captures, "scanner_kernel", lambda: Stub(form))
        yield


def read(path: Path | list[Path], form: Scan | None) -> tuple[TickLog | None, str]:
    with reading_by(form):
        try:
            return read_capture(path), ""
        except TrainingError as error:
            return None, str(error)


def assert_same(path: Path | list[Path], form: Scan) -> TickLog | None:
    expected, cause = read(path, None)
    found, found_cause = read(path, form)
    assert found_cause == cause
    if expected is None or found is None:
        assert found is expected
        return None
    assert (found.names, found.dead) == (expected.names, expected.dead)
    assert found.provenance == expected.provenance
    for name in COLUMNS:
        mine, other = getattr(found.batch, name), getattr(expected.batch, name)
        assert mine.dtype == other.dtype, name
        np.testing.assert_array_equal(mine, other, err_msg=name)
    return found


def iso(n: int) -> str:
    return f"2023-11-14T22:13:{n % 60:02}.{n % 1000:03}Z"


def simulated(n: int, **changes: Any) -> dict[str, Any]:
    made = {
        "symbol": "BTC-USD", "venue": "simulator", "ts_event_ns": START_NS + n,
        "price": 100 + n / 8, "ts_recv_ns": START_NS + n, "size": 1.5, "side": -1,
        "bid": 99.5, "ask": 100.25, "bid_size": 2.0, "ask_size": 3.25,
        "trade_id": n, "sequence": None, "gap": False,
    }  # fmt: skip
    return {**made, **changes}


def ticker(n: int, **changes: Any) -> dict[str, Any]:
    made = {
        "type": "ticker", "sequence": n, "product_id": "BTC-USD", "price": f"{100 + n / 8}",
        "open_24h": "95", "best_bid": "99.5", "best_bid_size": "2", "best_ask": "100.25",
        "best_ask_size": "3.5", "side": "buy", "time": iso(n), "trade_id": n, "last_size": "0.125",
    }  # fmt: skip
    return {**made, **changes}


def advanced(n: int, **changes: Any) -> dict[str, Any]:
    entry = {
        "type": "ticker", "product_id": "BTC-USD", "price": f"{100 + n / 8}", "volume_24_h": "9.5",
        "best_bid": "99.5", "best_ask": "100.25", "best_bid_quantity": "2",
        "best_ask_quantity": "3.5", **changes,
    }  # fmt: skip
    outer = {
        name: entry.pop(name) for name in ("channel", "sequence_num", "timestamp") if name in entry
    }
    return {
        "channel": "ticker",
        "client_id": "",
        "timestamp": iso(n),
        "sequence_num": n,
        "events": [{"type": "update", "tickers": [entry]}],
        **outer,
    }


MAKERS: dict[str, Callable[..., dict[str, Any]]] = {
    "simulator": simulated,
    "coinbase-exchange": ticker,
    "coinbase-advanced": advanced,
}
OTHERS = {
    "simulator": [{"symbol": "BTC-USD"}, 7],
    "coinbase-exchange": [
        {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": 4, "time": iso(0)},
        {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": 12, "time": iso(0)},
        {"type": "match", "product_id": "BTC-USD", "price": "3", "time": iso(0), "trade_id": 3},
        {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD"]}]},
        {"type": "subscriptions", "channels": [{"name": "ticker", "product_ids": ["BTC-USD"]}]},
    ],
    "coinbase-advanced": [
        {"channel": "heartbeats", "timestamp": iso(0), "sequence_num": 5, "events": []},
        {"channel": "ticker", "timestamp": iso(0), "sequence_num": 6, "events": []},
    ],
}
NUMBERS = st.sampled_from(
    [None, "", "0", 0, "-1", -1, "1e2", "1.50", 2, "007", " 5", "1e999", "0.1234567890123456789",
     "NaN", "999", "x", True, "5.", 2**63, "\u0665", []]
)  # fmt: skip
TEXTS = st.sampled_from(
    ["", "ETH-USD", "BTC\u2215USD", 'B"T', "a\\b", None, 7, "buy", "sell", "x" * 65, iso(99),
     "2023-02-29T00:00:00Z", "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.1234567891Z",
     "2023-11-14 22:13:20.5Z", "2023-11-14T24:00:00Z", "2300-01-01T00:00:00Z",
     "1969-12-31T23:59:59Z", "2024-02-29T23:59:59.123456789Z", "2023-11-14T22:13:20.5+01:00"]
)  # fmt: skip


@st.composite
def recordings(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Some runs of usual frames, between them whatever a venue or a broken disk may give."""
    venue = draw(st.sampled_from(sorted(MAKERS)))
    make = MAKERS[venue]
    header = {"format": FORMAT, "venue": venue, "marked": draw(st.booleans())}
    lines = [json.dumps(header).encode()]
    received = START_NS
    number = draw(st.integers(1, 3))
    for _ in range(draw(st.integers(1, 6))):
        symbol = draw(st.sampled_from(["BTC-USD", "BTC-USD", "ETH-USD"]))
        key = "symbol" if venue == "simulator" else "product_id"
        step = draw(st.sampled_from([1, 1, 1, 2]))
        spaced = draw(st.booleans())
        for _ in range(draw(st.integers(0, 12))):
            number, received = number + step, received + 100_000_000
            lines.append(_line(received, make(number, **{key: symbol}), spaced=spaced))
        kind = draw(
            st.sampled_from(
                ["value", "value", "other", "other", "text", "silence", "fresh", "back", "extra"]
            )
        )
        if kind == "value":
            name = draw(st.sampled_from([*make(1), "price", "best_bid", "sequence_num"]))
            value = draw(st.one_of(NUMBERS, TEXTS))
            lines.append(_line(received, make(number + 1, **{name: value}), spaced=spaced))
            number += draw(st.integers(0, 1))
        elif kind == "other":
            lines.append(_line(received, draw(st.sampled_from(OTHERS[venue])), spaced=spaced))
        elif kind == "text":
            broken = _line(received, make(number + 1), spaced=spaced)
            at = draw(st.integers(0, len(broken)))
            lines.append(
                broken[:at] + draw(st.sampled_from([b"", b"x", b"\xff", b'"'])) + broken[at + 1 :]
            )
        elif kind == "silence":
            received += 100_000_000_000
        elif kind == "fresh":
            frame = json.dumps(make(number + 3))
            lines.append(json.dumps({"ts_recv_ns": None, "frame": frame, "fresh": True}).encode())
        elif kind == "back":
            number = draw(st.integers(0, number))
            received -= 5_000_000_000
        else:
            text = json.dumps(make(number + 1))
            more = text[:-1] + draw(
                st.sampled_from([', "more": 1}', ', "price": "5"}', ', "a": {"b": []}}'])
            )
            lines.append(json.dumps({"ts_recv_ns": received, "frame": more}).encode())
    return venue, lines


def _line(received: int, frame: Any, *, spaced: bool) -> bytes:
    separators = None if spaced else (",", ":")
    text = json.dumps(frame, ensure_ascii=False, separators=separators)
    return json.dumps(
        {"ts_recv_ns": received, "frame": text}, ensure_ascii=False, separators=(",", ":")
    ).encode()


@given(recordings(), st.booleans())
def test_a_recording_is_the_same_by_both_ways(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, list[bytes]], ends: bool
) -> None:
    path = tmp_path_factory.mktemp("made") / "a.frames.ndjson"
    path.write_bytes(b"\n".join(made[1]) + (b"\n" if ends else b""))
    assert_same(path, scanner_kernel().compile())


@pytest.mark.parametrize("venue", sorted(MAKERS))
def test_usual_frames_are_read_by_compiled_code(venue: str, tmp_path: Path) -> None:
    """Otherwise the other tests would compare the slow way with itself."""
    calls: list[int] = []
    compiled = scanner_kernel().compile()

    def counted(*arguments: Any) -> int:
        left = compiled(*arguments)
        calls.append(len(arguments[0].ends) - left)
        return left

    lines = [json.dumps({"format": FORMAT, "venue": venue, "marked": True}).encode()]
    lines += [_line(START_NS + n, MAKERS[venue](n), spaced=False) for n in range(1, 500)]
    path = tmp_path / "a.frames.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    log = assert_same(path, counted)
    assert log is not None
    assert len(log) == 499
    assert sum(calls) > 300  # the first part is read anew once a shape and a symbol are known


def _beat(trade_id: int) -> dict[str, Any]:
    return {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": trade_id, "time": iso(0)}


MATCH = {
    "type": "match", "product_id": "BTC-USD", "price": "3", "time": iso(0), "trade_id": 190,
    "size": "1", "side": "buy",
}  # fmt: skip
SCENES: dict[str, tuple[str, list[Any]]] = {
    "a crossed quote": (
        "coinbase-exchange",
        [ticker(101, best_bid="999"), *map(ticker, range(102, 200))],
    ),
    "a crossed quote of the simulator": (
        "simulator",
        [simulated(101, bid=999.0), *map(simulated, range(102, 200))],
    ),
    "a trade that heartbeats have named and that never came": (
        "coinbase-exchange",
        [_beat(300), *map(ticker, range(101, 190)), _beat(301), *map(ticker, range(302, 400))],
    ),
    "an older quote that comes late, before the trades of another channel": (
        "coinbase-exchange",
        [*(ticker(n, sequence=n - 5, best_bid="98") for n in range(101, 104)), MATCH],
    ),
    "a quote before the trades of another channel": ("coinbase-exchange", [MATCH]),
    "messages that are missing": (
        "coinbase-advanced",
        [
            {"channel": "heartbeats", "timestamp": iso(0), "sequence_num": 101, "events": []},
            *map(advanced, range(102, 200)),
            *map(advanced, range(203, 210)),
        ],
    ),
    "a trade that came out of order": (
        "simulator",
        [simulated(103), simulated(101), simulated(102), *map(simulated, range(104, 200))],
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_what_is_remembered_of_usual_frames_is_the_same(scene: str, tmp_path: Path) -> None:
    venue, after = SCENES[scene]
    frames = [*map(MAKERS[venue], range(1, 101)), *after]  # so many that they are read at once
    lines = [json.dumps({"format": FORMAT, "venue": venue, "marked": True}).encode()]
    lines += [_line(START_NS + n, frame, spaced=False) for n, frame in enumerate(frames)]
    path = tmp_path / "a.frames.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert assert_same(path, scanner_kernel().compile()) is not None


def test_uncompiled_and_compiled_code_read_alike(tmp_path: Path) -> None:
    for venue, make in MAKERS.items():
        lines = [json.dumps({"format": FORMAT, "venue": venue}).encode()]
        lines += [_line(START_NS + n, make(n), spaced=True) for n in range(1, 50)]
        path = tmp_path / f"{venue}.frames.ndjson"
        path.write_bytes(b"\n".join(lines))
        assert_same(path, scanner_kernel().uncompiled)


@pytest.mark.parametrize("venue", sorted(MAKERS))
def test_files_of_one_run_are_the_same_by_both_ways(venue: str, tmp_path: Path) -> None:
    header = {"format": FORMAT, "venue": venue, "marked": True}
    names = [f"run-{number}.frames.ndjson" for number in range(4)]
    frames = [_line(START_NS + n, MAKERS[venue](n), spaced=False) for n in range(1, 400)]
    before = ""
    for number, name in enumerate(names):
        part = frames[100 * number : 100 * number + 100]
        continues = {1: before, 2: "lost.frames.ndjson"}.get(number, "")
        head = json.dumps({**header, "continues": continues}).encode()
        (tmp_path / name).write_bytes(b"\n".join([head, *part[: 100 - number]]) + b"\n")
        before = name
    for source in (tmp_path, [tmp_path / name for name in names]):
        log = assert_same(source, scanner_kernel().compile())
        assert log is not None
        assert len(log) > 390
        assert log.batch.gap.any()


@pytest.mark.parametrize("path", sorted(FRAMES.glob("*.frames.ndjson.gz")) or [None])
def test_a_real_recording_is_the_same_by_both_ways(path: Path | None) -> None:
    if path is None:
        pytest.skip("no recordings are on this machine")
    assert_same(path, scanner_kernel().compile())
