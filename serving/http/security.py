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
    expected = context_of(request).settings.api_token
    if expected is None or not expected.get_secret_value():
        raise ApiError(
            403,
            "changes_disabled",
            "requests that change state are refused: set VOLTICK_API_TOKEN to allow them",
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Digests are of equal length, so the comparison tells nothing about the token's.
    matches = hmac.compare_digest(_digest(given.strip()), _digest(expected.get_secret_value()))
    if scheme.lower() != "bearer" or not matches:
        raise ApiError(
            401,
            "unauthorized",
            "send the token as `Authorization: Bearer ...`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
