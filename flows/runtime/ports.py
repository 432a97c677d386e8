"""Listen on a port, or find out beforehand whether that is possible."""

import errno
import socket
from collections.abc import Callable

from flows.errors import ConfigurationError, PortTakenError


def listen(host: str, port: int, *, setting: str, backlog: int = 128) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    setting
        Common beginning of the variables that name host and port, such as ``VOLTICK_API``.
    backlog
        Most connections that wait to be accepted.

    Raises
    ------
    PortTakenError
        Another process listens there, or the port is for privileged users alone.
    ConfigurationError
        The host is none of this machine's addresses.
    """

    def start(listener: socket.socket) -> None:
        listener.listen(backlog)

    return _bound(host, port, setting, start)


def check_port(host: str, port: int, *, setting: str, host_variable: str | None = None) -> None:
    """Refuse an address that nothing can listen on; parameters and errors as :func:`listen`.

    Parameters
    ----------
    host_variable
        The variable that names the host, where it is not ``setting`` with ``_HOST``.
    """
    _bound(host, port, setting, lambda _listener: None, host_variable).close()


def _bound(
    host: str,
    port: int,
    setting: str,
    start: Callable[[socket.socket], None],
    host_variable: str | None = None,
) -> socket.socket:
    named = f"{host_variable or f'{setting}_HOST'}={host!r}"
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:  # getaddrinfo's own error is one
        message = f"{named} is no address: {error.strerror}"
        raise ConfigurationError(message) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        start(listener)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port, setting, named) from None
    return listener


def _explained(
    error: OSError, host: str, port: int, setting: str, named: str
) -> PortTakenError | ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(
            f"port {port} on {host} is taken; end the program that listens there, or set"
            f" {setting}_PORT to a free one"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortTakenError(
            f"port {port} may not be used by this user; set {setting}_PORT above 1023"
        )
    return ConfigurationError(f"{named} is no address of this machine: {error}")
