"""Listening on a port, and finding out beforehand."""

import errno
import socket
from collections.abc import Iterator

import pytest

from flows.errors import ConfigurationError, PortTakenError
from flows.runtime.ports import check_port, listen

USES = pytest.mark.parametrize("use", [listen, check_port], ids=["listen", "check"])


@pytest.fixture
def taken() -> Iterator[int]:
    with listen("127.0.0.1", 0, setting="VOLTICK_API") as listener:
        yield listener.getsockname()[1]


@USES
def test_a_taken_port_is_named_with_its_setting(use, taken: int) -> None:
    with pytest.raises(PortTakenError, match=f"port {taken} on 127.0.0.1 is taken.*A_B_PORT"):
        use("127.0.0.1", taken, setting="A_B")


@USES
@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_unusable_host_is_named_with_its_setting(use, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"A_B_HOST='{host}'"):
        use(host, 0, setting="A_B")


@USES
def test_a_privileged_port_is_no_riddle(use, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortTakenError, match="set A_B_PORT above 1023"):
        use("127.0.0.1", 80, setting="A_B")


def test_a_checked_port_is_still_free() -> None:
    with listen("127.0.0.1", 0, setting="A_B") as listener:
        port = listener.getsockname()[1]
    check_port("127.0.0.1", port, setting="A_B")
    with listen("127.0.0.1", port, setting="A_B") as listener:
        assert socket.create_connection(listener.getsockname(), timeout=5).close() is None
