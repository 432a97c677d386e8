"""A kept HTTP client whose answers are bounded in time and size."""

import time
from dataclasses import dataclass

CONNECT_S = 5.0
READ_S = 5.0
WHOLE_S = 10.0
"""Seconds for connecting, for each part of an answer, and for a whole answer."""

MAX_BODY_BYTES = 16 * 1024 * 1024
_MAX_REDIRECTS = 3
_CONNECTIONS = 8


class NoAnswerError(Exception):
    """A venue did not answer, or not to the end; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """GET requests over kept connections. Safe for use by several threads.

    A proxy that the environment names (``HTTPS_PROXY``) is used.

    Parameters
    ----------
    url
        Address of the venue; may have a path, before that of each request.
    read_s
        Limit for each part of an answer.
    """

    def __init__(self, url: str, read_s: float = READ_S) -> None:
        import httpx  # not above: only a polling feed pays for loading it

        self._errors = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            headers={"accept": "application/json", "user-agent": "voltick"},
        )

    def get(self, path: str) -> Reply:
        """Return the answer to one request, whatever its status.

        Raises
        ------
        NoAnswerError
            There is none within the limits of time and size, or it is cut off.
        """
        end_s = time.monotonic() + WHOLE_S
        try:
            with self._client.stream("GET", self._url + path) as response:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        message = f"an answer of more than {MAX_BODY_BYTES} bytes"
                        raise NoAnswerError(message)
                    if time.monotonic() > end_s:
                        message = f"an answer that took more than {WHOLE_S:g} s"
                        raise NoAnswerError(message)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, bytes(body))
        except self._errors as error:
            message = f"{type(error).__name__}: {error}"
            raise NoAnswerError(message) from None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
