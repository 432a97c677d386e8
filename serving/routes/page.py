"""The live page and the API's documentation; every file is served from here."""

from http import HTTPStatus
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from serving.http.assets import Assets, asset, chart_files, read_folder

STATIC = Path(__file__).resolve().parent.parent / "static"
# The package carries Swagger UI's files; its own page needs inline script, so it is not used.
DOCS_STATIC = Path(fastapi_offline.__file__).resolve().parent / "static"


def install(app: FastAPI) -> None:
    """Add the pages and the files that they ask for."""
    assets = Assets({**read_folder(STATIC), **chart_files()})
    text = (STATIC / "index.html").read_text("utf-8")
    index = asset("index.html", text.replace('"static/', f'"static/{assets.digest}/').encode())
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        """Serve the live page; its links are relative, so its address ends with a slash."""
        if not request.scope["raw_path"].endswith(b"/"):
            return RedirectResponse(f"{request.scope['root_path']}/", HTTPStatus.PERMANENT_REDIRECT)
        return index.response(request.headers, "no-cache")

    @router.get("/docs")
    async def docs() -> Response:
        """Serve the documentation of the API."""
        return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})

    @router.get("/docs/")
    async def docs_with_slash() -> Response:
        """Lead to the documentation, whose links are relative to the address without a slash."""
        return RedirectResponse("../docs", HTTPStatus.PERMANENT_REDIRECT)

    app.include_router(router)
    app.mount("/static", assets, name="static")
    app.mount("/docs-static", StaticFiles(directory=DOCS_STATIC), name="docs-static")
