"""Dead letters go back mended, once each."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.errors import ConfigurationError
from flows.redrive import read_dead_letters
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.ticks import Tick
from tests.conftest import Broker
from tests.support.kafka.tools import Outgoing, create_topics, fill, read_topic
from tests.support.processes import run

START_NS = 1_700_000_000_000_000_000


def _tick(seconds: float, price: float = 100.0) -> bytes:
    return msgspec.json.encode(
        Tick(
            symbol="BTC-USD",
            venue="simulator",
            ts_event_ns=START_NS + int(seconds * 1e9),
            price=price,
        )
    )


def _letter(payload: bytes, offset: int, topic: str | None = topics.TICKS_RAW) -> Outgoing:
    dead = DeadLetter(
        reason=Reason.BAD_PRICE,
        detail="price is -1.0",
        payload=payload,
        topic=topic,
        partition=0,
        offset=offset,
    )
    return Outgoing(0, b"BTC-USD", msgspec.json.encode(dead), 1_700_000_000_000)


def _redrive(broker: Broker, folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = run(["-m", "flows.redrive", *arguments], folder, broker.environment())
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def letters(broker: Broker) -> Broker:
    config = broker.client_config()
    create_topics(config, 1, broker.replication)
    fill(config, [Outgoing(0, b"BTC-USD", _tick(0), 1_700_000_000_000)])
    fill(
        config,
        [_letter(_tick(1, -1.0), 0), _letter(_tick(2, -1.0), 1), _letter(b"{", 2, topic=None)],
        topics.DEAD_LETTERS,
    )
    return broker


def _mend(file: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    for line in lines:
        line["payload"] = line["payload"].replace("-1.0", "101.0")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lines


def test_mended_letters_go_back_once_each(letters: Broker, tmp_path: Path) -> None:
    file = tmp_path / "letters.ndjson"
    code, out, err = _redrive(letters, tmp_path, "export", "--out", str(file))
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["exported"] == 2
    lines = _mend(file)
    assert [line["id"] for line in lines] == ["0-0", "0-1"]

    results = [_redrive(letters, tmp_path, "put", str(file)) for _ in range(2)]

    assert [json.loads(out.splitlines()[-1]) for _, out, _ in results] == [
        {"put": 2, "already_put": 0},
        {"put": 0, "already_put": 2},
    ]
    found = read_topic(letters.client_config(), topics.TICKS_RAW, at_least=3)
    assert [message.value for message in found] == [_tick(0), _tick(1, 101.0), _tick(2, 101.0)]
    code, out, _ = _redrive(letters, tmp_path, "export", "--out", str(file))
    assert (code, json.loads(out.splitlines()[-1])["exported"]) == (0, 0)


def test_what_is_not_mended_is_refused_by_name(letters: Broker, tmp_path: Path) -> None:
    file = tmp_path / "letters.ndjson"
    _redrive(letters, tmp_path, "export", "--out", str(file))

    code, _, err = _redrive(letters, tmp_path, "put", str(file))

    assert code != 0
    assert "letter 0-0 is not mended: bad_price" in err
    assert len(err.splitlines()) == 1
    assert len(read_topic(letters.client_config(), topics.TICKS_RAW, at_least=1)) == 1


def test_tick_that_would_restart_its_symbol_is_refused_unless_asked_for(
    letters: Broker, tmp_path: Path
) -> None:
    file = tmp_path / "letters.ndjson"
    line = {"id": "0-0", "payload": _tick(-61).decode()}
    file.write_text(json.dumps(line) + "\n")

    code, _, err = _redrive(letters, tmp_path, "put", str(file))
    assert code != 0
    assert "61 s older than the newest of BTC-USD" in err

    code, out, _ = _redrive(letters, tmp_path, "put", str(file), "--accept-restart")
    assert (code, json.loads(out.splitlines()[-1])["put"]) == (0, 1)


FOREIGN = [
    b'{"reason":"of_a_later_version","detail":"","payload":""}',
    b"\xff\xfe",
    b"",
    b"[" * 100_000,
    b'{"reason":"bad_price","detail":"\xff","payload":""}',
    b'{"reason":"bad_price","detail":"","payload":"","offset":99999999999999999999999}',
]


def test_what_is_no_dead_letter_is_passed_over_and_said(letters: Broker, tmp_path: Path) -> None:
    foreign = [Outgoing(0, b"", value, 0) for value in FOREIGN]
    fill(letters.client_config(), foreign, topics.DEAD_LETTERS)
    fill(letters.client_config(), foreign, topics.TICKS_RAW)
    create_topics(letters.client_config(), 1, letters.replication, [topics.REDRIVEN])
    fill(letters.client_config(), foreign, topics.REDRIVEN)
    file = tmp_path / "letters.ndjson"
    code, out, err = _redrive(letters, tmp_path, "export", "--out", str(file))
    assert code == 0, err
    # An offset beyond 64 bits is odd, and still a dead letter of nobody's topic.
    assert json.loads(out.splitlines()[-1])["exported"] == 2
    assert all(f"id=0-{number}" in err for number in range(3, 3 + len(FOREIGN) - 1))
    _mend(file)
    code, out, err = _redrive(letters, tmp_path, "put", str(file))
    assert (code, json.loads(out.splitlines()[-1])["put"]) == (0, 2), err


def test_a_symbol_that_is_not_allowed_is_refused(letters: Broker, tmp_path: Path) -> None:
    file = tmp_path / "letters.ndjson"
    file.write_text("\n" + json.dumps({"id": "0-0", "payload": _tick(1).decode()}) + "\n\n")
    settings = {**letters.environment(), "VOLTICK_ALLOWED_SYMBOLS": "ETH-USD"}
    done = run(["-m", "flows.redrive", "put", str(file)], tmp_path, settings)
    assert done.returncode == 2
    assert "dead letter 0-0 is not mended: unknown_symbol" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"id":"0-0","payload":"\xff"}', id="no UTF-8"),
        pytest.param(b"[" * 100_000, id="endless nesting"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"{}", id="no fields"),
    ],
)
def test_a_file_of_something_else_is_one_line_that_names_the_line(
    tmp_path: Path, line: bytes
) -> None:
    file = tmp_path / "letters.ndjson"
    file.write_bytes(b"\n" + line + b"\n")
    with pytest.raises(ConfigurationError, match=r"letters\.ndjson, line 2"):
        read_dead_letters(file)


def test_a_file_that_cannot_be_written_is_one_line(letters: Broker, tmp_path: Path) -> None:
    code, _out, err = _redrive(letters, tmp_path, "export", "--out", str(tmp_path))
    assert code == 2
    assert "Traceback" not in err
    assert f"cannot write {tmp_path}" in err
