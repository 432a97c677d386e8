"""A kept HTTP client whose answers are bounded in time and size. Blocking."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.feeds.addresses import public_address

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
READ_S = 5.0
WHOLE_S = 10.0
"""Seconds for connecting, for each part of an answer, and for a whole answer."""

MAX_BODY_BYTES = 16 * 1024 * 1024
_MAX_REDIRECTS = 3
_CONNECTIONS = 8


class NoAnswerError(Exception):
    """A venue did not answer, or not to the end; the message says why."""


class TooLongError(NoAnswerError):
    """An answer has more than :data:`MAX_BODY_BYTES`; another attempt would bring no other."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came; header names are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """GET requests over kept connections. Safe for use by several threads.

    A proxy that the environment names (``HTTPS_PROXY``) is used; a few redirects are followed, none
    from an encrypted address to a plain one, and credentials in the address go to its host alone.

    Parameters
    ----------
    url
        Address of the venue; may have a path, before that of each request.
    read_s, whole_s
        Limits for each part of an answer, and for the whole of it.
    transport
        Takes the place of the network.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        read_s: float = READ_S,
        whole_s: float = WHOLE_S,
        *,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import httpx  # not above: only who asks a venue pays for loading it

        self._errors = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
        self._url = url.rstrip("/")
        self._whole_s = whole_s
        self._clock = clock
        self._client = httpx.Client(
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            event_hooks={"response": [_refuse_plain]},
            headers={"accept": "application/json", "user-agent": "voltick"},
            transport=transport,
        )

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Reply:
        """Return the answer to one request, whatever its status.

        Raises
        ------
        NoAnswerError
            There is none within the limits of time and size, or it is cut off.
        """
        end_s = self._clock() + self._whole_s
        url = self._url + path
        try:
            with self._client.stream("GET", url, params=params) as response:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        message = f"an answer of more than {MAX_BODY_BYTES >> 20} MiB"
                        raise TooLongError(message)
                    if self._clock() > end_s:
                        message = f"an answer that took more than {self._whole_s:g} s"
                        raise NoAnswerError(message)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, response.reason_phrase, headers, bytes(body))
        except self._errors as error:
            message = f"{type(error).__name__}: {error}"
            raise NoAnswerError(message) from None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _refuse_plain(response: "httpx.Response") -> None:
    """Refuse a redirect from an encrypted address to a plain one."""
    if response.has_redirect_location and response.url.scheme == "https":
        target = response.url.join(response.headers["location"])
        if target.scheme == "http":
            where = public_address(str(target))
            message = f"a redirect to {where}, which is not encrypted, is refused"
            raise NoAnswerError(message)
