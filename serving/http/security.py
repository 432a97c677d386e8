"""The check of the token that requests need which change state."""

import hashlib
import hmac

from fastapi import Request

from serving.context import context_of
from serving.http.problems import ApiError


def require_token(request: Request) -> None:
    """Let a request with the right bearer token pass.

    Raises
    ------
    ApiError
        403 where no token is configured, 401 where the request's is missing or wrong.
    """
    token = context_of(request).settings.api_token
    expected = "" if token is None else token.get_secret_value().strip()
    if not expected:
        raise ApiError(
            403,
            "changes_disabled",
            "requests that change state are refused: set VOLTICK_API_TOKEN to allow them",
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not _is_equal(given.strip(" \t"), expected):
        raise ApiError(
            401,
            "unauthorized",
            "send the token as `Authorization: Bearer ...`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _is_equal(given: str, expected: str) -> bool:
    """Compare a header's value with the token, in a time that tells nothing about the token.

    A header is decoded as Latin-1, whatever was sent; the bytes that were sent are compared.
    """
    return hmac.compare_digest(_digest(given.encode("latin-1")), _digest(expected.encode()))


def _digest(value: bytes) -> bytes:
    # Digests are of equal length, so comparing them does not tell how long the token is.
    return hashlib.sha256(value).digest()
