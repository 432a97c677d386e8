"""A WebSocket handshake, and the redirects that a venue may answer it with. Blocking.

A redirect is followed as a browser follows one of a page: relative to the address that gave it,
``http`` and ``https`` taken for ``ws`` and ``wss``, a few at most, and never from an encrypted
address to a plain one. Nothing but the address is taken along to the next host: a user and a
password in an address are sent to its host alone, as basic authorization. An answer that
does not end, a page of endless bytes above all, is left after a while.
"""

import string
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit, urlunsplit

import structlog
import websocket

from flows.feeds.addresses import public_address, without_credentials
from flows.feeds.bounded import BoundedSocket

MOST_REDIRECTS = 3
MOST_BYTES = 65_536
"""Of an answer to a handshake, its page included: much more than any of a venue."""

_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_SHORTEST_S = 0.001
_ASCII = string.punctuation


class RedirectError(websocket.WebSocketException):
    """A redirect cannot be followed; the message says where it leads, and why not."""


class _Handshake(websocket.WebSocket):
    """The library's connection, which takes no more of an answer than :data:`MOST_BYTES`.

    The library reads a page that comes with a refusal to its end, whatever end it states, and each
    byte has the whole time-out.
    """

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s
        self._sock: Any = None
        self._bounded: BoundedSocket | None = None
        super().__init__(enable_multithread=True, skip_utf8_validation=True)

    @property
    def sock(self) -> Any:
        """The socket; None while there is none."""
        return self._sock

    @sock.setter
    def sock(self, opened: Any) -> None:
        if opened is not None:
            opened = self._bounded = BoundedSocket(opened, MOST_BYTES, self._end_s)
        self._sock = opened

    def refusal(self) -> websocket.WebSocketBadStatusException | None:
        """Return what a server refuses with whose page did not come to its end."""
        answer = None if self._bounded is None else self._bounded.answer()
        if answer is None or answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return None
        return websocket.WebSocketBadStatusException(
            f"Handshake status {answer.status}",
            answer.status,
            answer.reason,
            dict(answer.headers),
            answer.body,
        )

    def take_all(self) -> None:
        """Read the socket without bounds from here on."""
        self._sock = self._sock.wrapped


def connect(url: str, timeout_s: float) -> Any:
    """Return an open connection of :mod:`websocket`.

    Parameters
    ----------
    timeout_s
        Limit of all attempts to connect together, and of later calls until another one is set.

    Raises
    ------
    OSError, websocket.WebSocketException
        There is none; :class:`RedirectError` where a redirect is the cause, and
        ``WebSocketBadStatusException`` where the server refuses, with as much as came of its page.
    """
    end_s = time.monotonic() + timeout_s
    for _ in range(MOST_REDIRECTS + 1):
        connection: Any = _Handshake(end_s)
        plain, authorization = without_credentials(as_sent(url))
        left_s = max(end_s - time.monotonic(), _SHORTEST_S)
        try:
            # The library follows no relative redirect, and one to a plain address.
            connection.connect(
                plain,
                timeout=left_s,
                redirect_limit=0,
                header={"Authorization": authorization} if authorization else None,
            )
        except websocket.WebSocketBadStatusException:
            raise
        except (OSError, websocket.WebSocketException) as error:
            answer = connection.handshake_response
            if answer is None:
                raise connection.refusal() or error from None
            if answer.status not in _REDIRECTS:
                raise
            url = redirected(url, answer.headers.get("location"))
            structlog.get_logger().info("redirected", url=public_address(url), status=answer.status)
            continue
        connection.take_all()
        connection.settimeout(timeout_s)
        return connection
    message = f"more than {MOST_REDIRECTS} redirects, the last to {public_address(url)}"
    raise RedirectError(message)


def as_sent(url: str) -> str:
    """Return an address as it goes over the wire, with path and query in ASCII.

    A symbol's name may have other letters: they are escaped; what is escaped already stays.
    """
    parts = urlsplit(url)
    path, query = (quote(each, safe=_ASCII) for each in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query))


def redirected(url: str, location: str | None) -> str:
    """Return the address to which a redirect leads.

    Parameters
    ----------
    url
        What was asked, ``ws`` or ``wss``.
    location
        What the answer names; None where it names nothing.

    Raises
    ------
    RedirectError
        It leads nowhere, to something else than a WebSocket, or from an encrypted address to a
        plain one.
    """
    try:
        parts = urlsplit(urldefrag(urljoin(url, (location or "").strip())).url)
        usable = bool(location and location.strip() and parts.hostname and parts.port != 0)
    except ValueError:  # no port, no host
        usable = False
    if not usable:
        message = "a redirect that names no address"
        raise RedirectError(message)
    target = urlunsplit(parts)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        message = f"a redirect to {public_address(target)}, which is no WebSocket"
        raise RedirectError(message)
    if scheme == "ws" and urlsplit(url).scheme == "wss":
        message = f"a redirect to {public_address(target)}, which is not encrypted, is refused"
        raise RedirectError(message)
    return urlunsplit(parts._replace(scheme=scheme))
