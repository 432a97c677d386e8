"""The proxy that makes a way long: order, delay, stalls, and ends of either side."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.tcp_proxy import Delay, TcpProxy


@contextmanager
def echo() -> Iterator[int]:
    """A server that sends back what it gets and hangs up when its client does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65_536):
                    connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def ask(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    answer = b""
    while len(answer) < len(words):
        answer += client.recv(65_536)
    return answer


def test_bytes_come_back_in_order_after_their_delay_and_both_ends_hang_up() -> None:
    words = bytes(range(256)) * 2_000
    delay = Delay(0.05, 0.2, seed=1)
    with (
        echo() as port,
        TcpProxy(port, delay=delay) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 30) as client,
    ):
        begin = time.monotonic()
        assert ask(client, words) == words
        assert time.monotonic() - begin >= 0.1
        assert proxy.connections == 1


def test_nothing_arrives_during_a_stall_and_nothing_is_lost() -> None:
    delay = Delay()
    with (
        echo() as port,
        TcpProxy(port, delay=delay) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 30) as client,
    ):
        assert ask(client, b"before") == b"before"
        begin = time.monotonic()
        delay.stall(0.4)
        assert ask(client, b"meanwhile") == b"meanwhile"
        assert time.monotonic() - begin >= 0.4


def test_client_of_an_absent_server_is_hung_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with (
        TcpProxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 30) as client,
    ):
        assert client.recv(1) == b""


def test_delays_are_repeatable_by_their_seed() -> None:
    now = time.monotonic()
    first, again = (Delay(1_000.0, 2_000.0, seed=3) for _ in range(2))
    assert all(abs(first.due() - again.due()) < 60.0 for _ in range(20))
    assert first.due() >= now + 1_000.0


def test_a_narrow_way_takes_its_time_for_each_byte() -> None:
    delay = Delay()
    delay.bytes_per_s = 20_000.0
    with (
        echo() as port,
        TcpProxy(port, delay=delay) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 30) as client,
    ):
        begin = time.monotonic()
        assert ask(client, b"x" * 10_000) == b"x" * 10_000
        assert time.monotonic() - begin >= 0.5
        delay.bytes_per_s = None
        assert ask(client, b"y") == b"y"


def test_a_cut_lets_half_of_the_bytes_through_and_later_connections_alone() -> None:
    with (
        echo() as port,
        TcpProxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 30) as client,
    ):
        assert ask(client, b"whole") == b"whole"
        proxy.cut()
        client.sendall(b"x" * 1_000)
        got = b""
        with suppress(ConnectionError):
            while data := client.recv(65_536):
                got += data
        assert len(got) < 1_000


def test_a_cut_leaves_later_connections_alone() -> None:
    with echo() as port, TcpProxy(port) as proxy:
        proxy.cut()
        with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
            assert ask(client, b"whole") == b"whole"
