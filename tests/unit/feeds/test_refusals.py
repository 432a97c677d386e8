"""What a venue says where it refuses, and what feeds tell of it and of their addresses."""

import gzip
from pathlib import Path

import pytest
import structlog

from flows.feeds.binance.client import open_binance
from flows.feeds.protocol import Limits
from flows.feeds.record import RecordingFeed
from flows.feeds.refusals import said_of, words_of
from flows.feeds.rest.registry import open_binance_rest
from flows.feeds.retry_after import LONGEST_PAUSE_S
from tests.support.polling import until
from tests.support.rest_venues import Binance, Fault
from tests.support.venues.server import Refusal, VenueServer

PATIENT = Limits(silence_s=30.0, answer_s=0.05, backoff_s=0.01, backoff_cap_s=0.05)
BODY = '{"code":0,"msg":"Service unavailable from a restricted location"}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message":"NotFound"}', "NotFound"),
        (b'{"code":-1121,"msg":"Invalid symbol."}', "Invalid symbol."),
        (
            b'{"chart":{"result":null,"error":{"code":"Not Found","description":"No data"}}}',
            "No data",
        ),
        (b"<html>\n  Bad\n  gateway</html>", "<html> Bad gateway</html>"),
        (
            b"<!doctype html><html><head><TITLE lang=en>503 Under\n maintenance</TITLE><style>p{}",
            "503 Under maintenance",
        ),
        (b"<title></title>", ""),
        (b"[1,2]", "[1,2]"),
        (b"", ""),
        (None, ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
    ids=[
        "coinbase",
        "binance",
        "yahoo",
        "proxy",
        "page",
        "untitled",
        "array",
        "nothing",
        "none",
        "no-text",
    ],
)
def test_words_of_an_error(body: bytes | None, words: str) -> None:
    assert words_of(body) == words


def test_a_status_has_the_words_that_came_with_it() -> None:
    assert said_of(451, b'{"code":0,"msg":"restricted location"}') == "451: restricted location"
    assert said_of(503, None) == "503"


def test_a_refused_handshake_is_told_in_the_venues_words() -> None:
    refusals = [Refusal(451, {}, BODY), Refusal(418, {"Retry-After": "259200"})]
    with (
        structlog.testing.capture_logs() as logs,
        VenueServer([lambda connection: connection.hang()], refusals) as server,
    ):
        feed = open_binance(["BTC-USDT"], server.url, PATIENT)
        try:
            until(lambda: any("next attempt" in each["event"] for each in logs), "the pause")
        finally:
            feed.close()
    reasons = [each["reason"] for each in logs if "reason" in each]
    assert reasons == [
        "the handshake is refused with 451: Service unavailable from a restricted location",
        "the handshake is refused with 418; it asks for a pause of 259200 s",
    ]
    [pause] = [each["wait_s"] for each in logs if "next attempt" in each["event"]]
    assert LONGEST_PAUSE_S - 60.0 < pause <= LONGEST_PAUSE_S


@pytest.mark.parametrize("status", [403, 418, 451, 503])
def test_a_refused_request_is_told_in_the_venues_words(status: int) -> None:
    fault = Fault(status, {"Retry-After": "0"}, BODY)
    with (
        structlog.testing.capture_logs() as logs,
        Binance(lambda _number, path: fault if "/trades" in path else None) as venue,
    ):
        feed = open_binance_rest(["BTC-USDT"], venue.url, 0.02)
        try:
            until(lambda: any("reason" in each for each in logs), "the refusal")
        finally:
            feed.close()
    reason = next(each["reason"] for each in logs if "reason" in each)
    assert reason.startswith(f"HTTP {status}: Service unavailable from a restricted location (/api")


def test_credentials_of_an_address_are_in_no_name_and_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "recorded.frames.ndjson.gz"
    polled = open_binance_rest(["BTC-USDT"], "http://user:secret@127.0.0.1:9/a?key=hidden")
    RecordingFeed(polled, path).close()
    recorded = gzip.decompress(path.read_bytes())
    assert b"polled at http://127.0.0.1:9/a" in recorded
    assert not any(each in recorded for each in (b"user", b"secret", b"hidden"))
