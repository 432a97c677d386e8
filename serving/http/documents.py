"""The OpenAPI document, its schemas taken from the message contracts themselves."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from schemas.features import FEATURES
from serving.http import series_views, system_views, views
from serving.models.predicting import FLOAT32_MAX, MAX_ROWS

_REF = "#/components/schemas/{name}"

_REFERRED = re.compile(r"#/components/schemas/(\w+)")
# Where the bodies of requests and answers are.
_BODIES = (views, series_views, system_views)

_PROBLEMS = {
    400: "The request cannot be read",
    401: "The token is missing or wrong",
    403: "No token is configured, so nothing can be changed",
    404: "Not known",
    408: "The body did not come in time",
    409: "The move is refused",
    413: "The body is too large",
    415: "The body is compressed",
    422: "A parameter or value is not usable; the message names it",
    503: "Something that the answer needs is not there; the message says which",
}


def answers(
    body: type[msgspec.Struct], example: object, *problems: int
) -> dict[int | str, dict[str, Any]]:
    """Describe a route's success and the errors it can give."""
    described: dict[int | str, dict[str, Any]] = {200: {**content(body, example)}}
    described[200]["description"] = (body.__doc__ or "").partition("\n")[0]
    for status in problems:
        described[status] = {"description": _PROBLEMS[status], **content(views.ErrorResponse)}
    return described


def takes(body: type[msgspec.Struct], example: object) -> dict[str, Any]:
    """Describe a route's JSON request body."""
    return {"requestBody": {"required": True, **content(body, example)}}


def content(body: type[msgspec.Struct], example: object = None) -> dict[str, Any]:
    """Return an OpenAPI content object for a message."""
    media: dict[str, Any] = {"schema": {"$ref": _REF.format(name=body.__name__)}}
    if example is not None:
        media["example"] = msgspec.to_builtins(example)
    return {"content": {"application/json": media}}


def install(app: FastAPI) -> None:
    """Let ``/openapi.json`` describe the API's own messages, under the root path of the request."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    # FastAPI's documented way to extend the document.
    app.openapi = document  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def description(request: Request) -> Response:
        root_path = request.scope.get("root_path", "")
        servers = {"servers": [{"url": root_path}]} if root_path else {}
        return Response(
            msgspec.json.encode({**document(), **servers}), media_type="application/json"
        )


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    _refs, schemas = msgspec.json.schema_components(_bodies_of(document), ref_template=_REF)
    components = document.setdefault("components", {})
    components["schemas"] = dict(schemas)
    components["schemas"]["PredictRequest"]["properties"]["rows"] = _rows()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path in document["paths"].values():
        for operation in path.values():
            _own_errors(operation)
    return document


def _bodies_of(document: Mapping[str, Any]) -> list[type[msgspec.Struct]]:
    """Return the messages that the operations refer to, and that of their errors."""
    names = {*_REFERRED.findall(msgspec.json.encode(document["paths"]).decode())}
    # What FastAPI refers to by itself is an error of its own shape, which is not sent.
    names = (names - {"HTTPValidationError"}) | {views.ErrorResponse.__name__}
    return [_body(name) for name in sorted(names)]


def _body(name: str) -> type[msgspec.Struct]:
    found: type[msgspec.Struct] = next(
        vars(module)[name] for module in _BODIES if name in vars(module)
    )
    return found


def _rows() -> dict[str, Any]:
    """Describe feature rows by the contract: every name, its range, and whether it may be null."""
    properties = {}
    for feature in FEATURES:
        properties[feature.name] = {
            "type": ["number", "null"] if feature.undefined else "number",
            "minimum": max(feature.low, -FLOAT32_MAX),
            "maximum": min(feature.high, FLOAT32_MAX),
            "description": f"{feature.formula} [{feature.unit}]",
        }
    row = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_ROWS}


def _own_errors(operation: Mapping[str, Any]) -> None:
    """Point FastAPI's stock description of 422 at the shape that is really sent."""
    if "422" in operation["responses"]:
        operation["responses"]["422"] = {
            "description": _PROBLEMS[422],
            **content(views.ErrorResponse),
        }
