"""Request bodies of bounded size."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.http.problems import ApiError

BODY_LIMIT_S = 30.0
# A server takes no length beyond 64 bits.
_MOST_DIGITS = 20


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the request's body.

    Raises
    ------
    ApiError
        415 where it is compressed; 408 where it does not come in time; 413 as soon as it is known
        to be larger than ``limit_bytes``; 400 where the client hangs up before it is whole.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        message = f"the body is encoded by {encoding!r}; send it as plain JSON"
        raise ApiError(415, "unsupported_encoding", message)
    if _announced(request) > limit_bytes:
        raise _too_large(limit_bytes)
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            return await _read(request, limit_bytes)
    except TimeoutError:
        message = f"the body did not come within {BODY_LIMIT_S:g} s"
        raise ApiError(408, "request_timeout", message, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        message = "the client has hung up before the body was whole"
        raise ApiError(400, "incomplete_body", message) from None


async def _read(request: Request, limit_bytes: int) -> bytes:
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _announced(request: Request) -> int:
    """Return the size that the client gives in its head; 0 for none, or none that is a number."""
    size = request.headers.get("content-length", "").strip()
    return int(size) if size.isascii() and size.isdigit() and len(size) <= _MOST_DIGITS else 0


def _too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, "too_large", f"the body is larger than {limit_bytes} bytes")
