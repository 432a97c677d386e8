"""The files that pages load, from memory: compressed, with an ETag, cached by their content."""

import gzip
import hashlib
import importlib.util
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.negotiation import has_already, takes_gzip
from serving.http.paths import route_path

_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
_WORTH_COMPRESSING = 1024
_TEXT = (".js", ".css", ".svg", ".html")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str

    def response(self, headers: Headers, cache: str) -> Response:
        """Answer a request for it."""
        own = {"ETag": self.etag, "Cache-Control": cache, "Vary": "Accept-Encoding"}
        if has_already(headers.get("if-none-match"), self.etag):
            return Response(status_code=304, headers=own)
        if self.compressed is not None and takes_gzip(headers.get("accept-encoding")):
            own["Content-Encoding"] = "gzip"
            return Response(self.compressed, media_type=self.media_type, headers=own)
        return Response(self.content, media_type=self.media_type, headers=own)


def asset(name: str, content: bytes) -> Asset:
    """Return a file of this name and content."""
    compressed = None
    if name.endswith(_TEXT) and len(content) >= _WORTH_COMPRESSING:
        compressed = gzip.compress(content, 9, mtime=0)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith(".js"):
        media_type = "text/javascript"  # whatever the machine's table says
    digest = hashlib.sha256(content).hexdigest()[:20]
    return Asset(content, compressed, media_type, f'"{digest}"')


class Assets:
    """Files below one path, each also below a part that names the content of them all.

    Below that part a browser may keep a file for ever: where any file changes, the part does.

    Parameters
    ----------
    files
        Content by path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._assets = {name: asset(name, content) for name, content in files.items()}
        whole = hashlib.sha256()
        for name, each in sorted(self._assets.items()):
            whole.update(f"{name} {each.etag}\n".encode())
        self.digest = whole.hexdigest()[:16]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""
        path = route_path(scope).lstrip("/")
        named = path.startswith(f"{self.digest}/")
        found = self._assets.get(path.removeprefix(f"{self.digest}/") if named else path)
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET"})
        if found is None:
            raise HTTPException(404)
        response = found.response(Headers(scope=scope), _FOREVER if named else _ASK)
        await response(scope, receive, send)


def read_folder(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """Return the content of a folder's files by path."""
    return {
        f"{prefix}{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def chart_files() -> dict[str, bytes]:
    """Return the chart library's script and style, out of the Python package that carries them.

    The package itself is for notebooks, and not imported.
    """
    spec = importlib.util.find_spec("uplot")
    assert spec is not None and spec.submodule_search_locations  # noqa: S101, PT018  a dependency
    folder = Path(next(iter(spec.submodule_search_locations))) / "static"
    names = ("uPlot.iife.js", "uPlot.min.css")
    return {f"vendor/{name}": (folder / name).read_bytes() for name in names}
