"""The live page and the API's documentation; every file is served from here."""

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).resolve().parent.parent / "static"
# The package carries Swagger UI's files; its own page needs inline script, so it is not used.
DOCS_STATIC = Path(fastapi_offline.__file__).resolve().parent / "static"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> FileResponse:
    """Serve the live page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/docs")
async def docs() -> FileResponse:
    """Serve the documentation of the API."""
    return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


def mount_files(app: FastAPI) -> None:
    """Serve the files that the pages ask for."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/docs-static", StaticFiles(directory=DOCS_STATIC), name="docs-static")
