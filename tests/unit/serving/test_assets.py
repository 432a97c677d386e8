"""Files of the page: kept for ever under their content's name, asked for again otherwise."""

import asyncio
import gzip

import httpx
import pytest
from starlette.applications import Starlette

from serving.http.assets import Assets, asset, chart_files

FILES = {"app.js": b"const a = 1;\n" * 200, "icon.svg": b"<svg/>"}


@pytest.fixture
def assets() -> Assets:
    return Assets(FILES)


class Client:
    """Asks the files' application, without a socket."""

    def __init__(self, assets: Assets) -> None:
        self._app = Starlette()
        self._app.mount("/static", assets)

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, path, headers=named)

        return asyncio.run(ask())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, **headers)


@pytest.fixture
def client(assets: Assets) -> Client:
    return Client(assets)


def test_a_file_is_served_whole_compressed_where_that_is_understood(client: Client) -> None:
    plain = client.get("/static/app.js", accept_encoding="identity")
    assert plain.content == FILES["app.js"]
    assert plain.headers["content-type"].startswith("text/javascript")
    packed = client.get("/static/app.js", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(FILES["app.js"]) / 5
    assert packed.content == FILES["app.js"]
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_below_the_name_of_the_content_a_file_is_kept_for_ever(
    client: Client, assets: Assets
) -> None:
    named = client.get(f"/static/{assets.digest}/app.js")
    assert "immutable" in named.headers["cache-control"]
    assert client.get("/static/app.js").headers["cache-control"] == "no-cache"
    other = Assets({**FILES, "icon.svg": b"<svg></svg>"})
    assert other.digest != assets.digest
    assert Assets(dict(FILES)).digest == assets.digest


def test_what_is_known_is_not_sent_again(client: Client) -> None:
    tag = client.get("/static/app.js").headers["etag"]
    again = client.get("/static/app.js", if_none_match=f'"other", {tag}')
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["nowhere.js", "../app.js", "0000/app.js", ""])
def test_there_is_nothing_else(client: Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404
    assert client.ask("POST", "/static/app.js").status_code == 405


def test_small_files_are_left_alone() -> None:
    assert asset("icon.svg", b"<svg/>").compressed is None
    compressed = asset("app.js", FILES["app.js"]).compressed
    assert compressed is not None
    assert gzip.decompress(compressed) == FILES["app.js"]


def test_the_chart_library_is_carried_by_its_package() -> None:
    files = chart_files()
    assert b"uPlot" in files["vendor/uPlot.iife.js"]
    assert b".uplot" in files["vendor/uPlot.min.css"]
