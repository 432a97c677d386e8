"""Request bodies of bounded size."""

from fastapi import Request

from serving.http.problems import ApiError


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the request's body.

    Raises
    ------
    ApiError
        413 as soon as it is known to be larger than ``limit_bytes``.
    """
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise ApiError(413, "too_large", f"the body is larger than {limit_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
