"""Errors of the API, all in one shape: ``{"error": {"code", "message", "detail"?}}``."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from flows.errors import ModelRejectedError, ModelStoreError
from serving.http.paths import parameter
from serving.http.views import ErrorBody, ErrorResponse


class ApiError(Exception):
    """An answer other than success.

    Parameters
    ----------
    status
        HTTP status.
    code
        Stable name for programs, ``snake_case``.
    message
        A sentence for people.
    detail
        Particulars, JSON-encodable.
    headers
        Additional response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(code, message, detail)
        self.headers = dict(headers or {})


class RedisUnavailableError(ApiError):
    """Redis did not answer in time."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            503,
            "redis_unavailable",
            f"Redis does not answer ({cause}); scores are served again once it does",
            headers={"Retry-After": "1"},
        )


class LogUnavailableError(ApiError):
    """Kafka did not answer in time, or is not configured."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            503,
            "kafka_unavailable",
            f"Kafka does not answer ({cause}); its topics are read again once it does",
            headers={"Retry-After": "2"},
        )


def json_response(
    body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Encode a body by msgspec; never cached, since every answer is about now."""
    return encoded_response(msgspec.json.encode(body), status, headers)


def encoded_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return JSON that is encoded already, as :func:`json_response` does."""
    return Response(
        body,
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def error_response(
    status: int, body: ErrorBody, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the one error shape."""
    try:
        return json_response(ErrorResponse(body), status, headers)
    except UnicodeEncodeError:  # what is quoted holds half of a surrogate pair
        plain = ErrorBody(body.code, ascii(body.message))
        return json_response(ErrorResponse(plain), status, headers)


async def _on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  registered for this class alone
    return error_response(error.status, error.body, error.headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class alone
    status = HTTPStatus(error.status_code)
    message = {
        404: f"no such path: {parameter(request.url.path)}",
        405: f"{request.method} is not possible here",
    }.get(status, str(error.detail))
    code = status.phrase.lower().replace(" ", "_").replace("'", "")
    headers = dict(error.headers or {})
    if "GET" in headers.get("Allow", ""):
        headers["Allow"] += ", HEAD"
    return error_response(status, ErrorBody(code, message), headers)


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class alone
    problems = [
        {"where": ".".join(str(part) for part in item["loc"]), "problem": str(item["msg"])}
        for item in error.errors()
    ]
    message = "; ".join(f"{item['where']}: {item['problem']}" for item in problems)
    return error_response(422, ErrorBody("invalid_request", message, problems))


def install(app: FastAPI, is_news: Callable[[str], bool]) -> None:
    """Let every error of the application leave in the one shape.

    Parameters
    ----------
    is_news
        Whether the log does not yet know the cause for which the model store refuses; it may
        block.
    """

    async def on_store_error(_request: Request, error: Exception) -> Response:
        cause = str(error)
        if await asyncio.to_thread(is_news, cause):
            structlog.get_logger().warning("model store refused", cause=cause)
        return error_response(503, ErrorBody("model_unavailable", cause))

    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(ModelStoreError, on_store_error)
    app.add_exception_handler(ModelRejectedError, on_store_error)
