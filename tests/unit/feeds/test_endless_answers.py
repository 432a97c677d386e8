"""Answers to a WebSocket handshake that do not end: left in time, and taken for what they say."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import websocket

from flows.feeds.handshake import MOST_BYTES, connect

TIMEOUT_S = 1.5
# Of a server that never stops by itself; far from what a busy machine needs for the time-out.
GIVE_UP_S = 30.0
SLOW_S = 0.1
REFUSAL = b'HTTP/1.1 403 Forbidden\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n{"msg":"closed"} '
ENDLESS = REFUSAL % 10**15
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n"


@contextmanager
def server(head: bytes, more: bytes, pause_s: float) -> Iterator[tuple[str, list[int]]]:
    """Answer one connection by a head, and then by the same bytes until the client has gone."""
    sent = [0]
    over = threading.Event()

    def answer() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(GIVE_UP_S)
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                connection.sendall(head)
                end_s = time.monotonic() + GIVE_UP_S
                while time.monotonic() < end_s and not over.wait(pause_s):
                    connection.sendall(more)
                    sent[0] += len(more)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}", sent
        over.set()
        thread.join(GIVE_UP_S)


@pytest.mark.parametrize(
    ("head", "more", "pause_s"),
    [
        pytest.param(ENDLESS, b"x" * 65_536, 0.0, id="fast"),
        pytest.param(ENDLESS, b"x", SLOW_S, id="byte by byte"),
        pytest.param(REFUSAL % 500, b"", SLOW_S, id="less than it says, and silence"),
    ],
)
def test_a_refusal_whose_page_does_not_end_is_a_refusal(
    head: bytes, more: bytes, pause_s: float
) -> None:
    with server(head, more, pause_s) as (url, sent):
        began_s = time.monotonic()
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            connect(url, TIMEOUT_S)
        assert time.monotonic() - began_s < GIVE_UP_S / 2
    assert caught.value.status_code == 403
    assert caught.value.resp_headers["retry-after"] == "7"
    assert caught.value.resp_body.startswith(b'{"msg":"closed"}')
    assert len(caught.value.resp_body) <= MOST_BYTES
    assert sent[0] < 256 * MOST_BYTES  # what systems keep on the way, and no stream of gigabytes


def test_a_refusal_that_is_cut_off_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(REFUSAL % 500)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            connect(f"ws://127.0.0.1:{listener.getsockname()[1]}", GIVE_UP_S)
        thread.join(GIVE_UP_S)


@pytest.mark.parametrize(
    ("head", "more", "pause_s"),
    [
        pytest.param(SWITCHING, b"X-More: yes\r\n", 0.0, id="headers"),
        pytest.param(SWITCHING, b"x", SLOW_S, id="a header, byte by byte"),
        pytest.param(b"", b"HTTP" * 1_000, 0.0, id="a first line"),
    ],
)
def test_a_head_that_does_not_end_is_no_connection(
    head: bytes, more: bytes, pause_s: float
) -> None:
    with server(head, more, pause_s) as (url, _sent):
        began_s = time.monotonic()
        with pytest.raises((OSError, websocket.WebSocketException)):
            connect(url, TIMEOUT_S)
        assert time.monotonic() - began_s < GIVE_UP_S / 2
