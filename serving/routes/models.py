"""The model store, and moves of its aliases for holders of the token."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import structlog
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BeforeValidator

from flows.errors import ModelRejectedError
from flows.scoring import promotion
from schemas.decoding import UNREADABLE
from schemas.models import Aliases
from serving.context import Context, context_of
from serving.http import examples
from serving.http.documents import answers, takes
from serving.http.paths import parameter
from serving.http.problems import ApiError, json_response
from serving.http.requests import read_body
from serving.http.security import require_token
from serving.http.views import (
    AliasesResponse,
    ChampionRequest,
    ModelDetail,
    ModelsResponse,
    ModelSummary,
    ShadowRequest,
)

router = APIRouter(tags=["models"])
moves = APIRouter(tags=["models"], dependencies=[Depends(require_token)])

Shared = Annotated[Context, Depends(context_of)]
Target = Annotated[
    str, BeforeValidator(parameter), Path(max_length=64, description="Name of a target.")
]
Ref = Annotated[
    str, BeforeValidator(parameter), Path(max_length=200, description="`name@version`.")
]
Role = Literal["champion", "challenger", "none"]
Body = TypeVar("Body", bound=msgspec.Struct)

_TOKEN: dict[str, Any] = {"security": [{"token": []}]}
_MAX_BODY_BYTES = 64 << 10


@router.get("/models", responses=answers(ModelsResponse, examples.MODELS, 503))
def list_models(context: Shared) -> Response:
    """Return every version in the store, newest first, with its role, and what serves."""
    store = context.models.store
    served = context.models.current()
    aliases = {target: store.aliases(target) for target in store.targets()}
    summaries = [
        ModelSummary(
            ref=manifest.ref,
            target=manifest.target.name,
            kind=manifest.target.kind,
            variant=manifest.variant,
            provenance=manifest.provenance,
            feature_set=manifest.feature_set,
            created_ns=manifest.created_ns,
            role=_role(manifest.ref, aliases.get(manifest.target.name)),
            threshold=manifest.threshold,
            metrics=manifest.metrics,
        )
        for manifest in reversed(store.manifests())
    ]
    serving = {target: models.champion.ref for target, models in served.by_target.items()}
    problems = [problem.reason for problem in served.problems]
    return json_response(ModelsResponse(summaries, aliases, serving, problems))


@router.get("/models/{ref}", responses=answers(ModelDetail, None, 404, 409, 503))
def show_model(context: Shared, ref: Ref) -> Response:
    """Return one version's manifest after checking its files against their hashes."""
    store = context.models.store
    if ref not in store.refs():
        raise _unknown_model(ref)
    try:
        manifest, _onnx_bytes = store.read(ref)
    except ModelRejectedError as error:
        raise ApiError(409, "model_rejected", str(error)) from None
    role = _role(ref, store.aliases(manifest.target.name))
    return json_response(ModelDetail(ref, role, manifest))


@moves.post(
    "/models/{target}/champion",
    responses=answers(
        AliasesResponse, examples.ALIASES_RESPONSE, 400, 401, 403, 404, 408, 409, 413, 415, 422, 503
    ),
    openapi_extra={**takes(ChampionRequest, examples.CHAMPION_REQUEST), **_TOKEN},
)
async def promote(context: Shared, request: Request, target: Target) -> Response:
    """Make a version the champion; the flow swaps to it between two batches."""
    name = context.known_target(target)
    wanted = await _decoded(request, ChampionRequest)
    simulated = await context.simulated() is True

    def move() -> Aliases:
        _must_exist(context, [wanted.model])
        return promotion.promote(
            context.models.store,
            name,
            wanted.model,
            by=_mover(request),
            allow_simulated=simulated,
        )

    return await _moved(context, request, name, "champion", move)


@moves.post(
    "/models/{target}/rollback",
    responses=answers(AliasesResponse, examples.ALIASES_RESPONSE, 401, 403, 404, 409, 503),
    openapi_extra=_TOKEN,
)
async def roll_back(context: Shared, request: Request, target: Target) -> Response:
    """Make the champion before this one the champion again."""
    name = context.known_target(target)
    simulated = await context.simulated() is True

    def move() -> Aliases:
        store = context.models.store
        return promotion.rollback(store, name, by=_mover(request), allow_simulated=simulated)

    return await _moved(context, request, name, "rollback", move)


@moves.post(
    "/models/{target}/shadow",
    responses=answers(
        AliasesResponse, examples.ALIASES_RESPONSE, 400, 401, 403, 404, 408, 409, 413, 415, 422, 503
    ),
    openapi_extra={**takes(ShadowRequest, examples.SHADOW_REQUEST), **_TOKEN},
)
async def shadow(context: Shared, request: Request, target: Target) -> Response:
    """Replace the versions that score in the champion's shadow; an empty list stops them."""
    name = context.known_target(target)
    wanted = await _decoded(request, ShadowRequest)

    def move() -> Aliases:
        _must_exist(context, wanted.models)
        store = context.models.store
        return promotion.set_shadows(store, name, wanted.models, by=_mover(request))

    return await _moved(context, request, name, "shadow", move)


async def _moved(
    context: Context, request: Request, target: str, kind: str, move: Callable[[], Aliases]
) -> Response:
    log = structlog.get_logger()
    try:
        aliases = await asyncio.to_thread(move)
    except ModelRejectedError as error:
        log.warning("alias move refused", target=target, move=kind, cause=str(error))
        raise ApiError(409, "move_refused", str(error)) from None
    context.metrics.alias_moves.labels(target, kind).inc()
    log.info(
        "alias moved",
        target=target,
        move=kind,
        champion=aliases.champion,
        challengers=aliases.challengers,
        by=_mover(request),
    )
    return json_response(AliasesResponse(aliases))


async def _decoded(request: Request, kind: type[Body]) -> Body:
    body = await read_body(request, _MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_request", str(error)) from None
    except UNREADABLE as error:
        raise ApiError(400, "not_json", f"the body is not JSON: {error}") from None


def _must_exist(context: Context, refs: list[str]) -> None:
    known = set(context.models.store.refs())
    for ref in refs:
        if ref not in known:
            raise _unknown_model(ref)


def _unknown_model(ref: str) -> ApiError:
    return ApiError(404, "unknown_model", f"no model {ref!r}; GET /models lists the versions")


def _mover(request: Request) -> str:
    host = request.client.host if request.client is not None else "an unknown address"
    return f"api from {host}"


def _role(ref: str, aliases: Aliases | None) -> Role:
    if aliases is None:
        return "none"
    if aliases.champion == ref:
        return "champion"
    return "challenger" if ref in aliases.challengers else "none"
