"""By which names the API may be asked: a foreign page's name that leads to loopback is refused."""

import asyncio
from pathlib import Path

import httpx
import pytest

from flows.settings import Settings, load_settings
from serving.app import create_app
from tests.support.api import DEAD_REDIS, error_of

EVIL = "evil.example:8000"
ANYWHERE = "0.0.0.0"  # noqa: S104


def ask(folder: Path, hosts: list[str], path: str = "/features", **fields) -> httpx.Response:
    app = create_app(Settings(redis_url=DEAD_REDIS, model_store=folder, **fields))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            request = client.build_request("GET", path)
            others = [pair for pair in request.headers.raw if pair[0].lower() != b"host"]
            request.headers = httpx.Headers(others + [(b"host", host.encode()) for host in hosts])
            return await client.send(request)

    return asyncio.run(send())


@pytest.mark.parametrize("path", ["/features", "/scores/BTC-USD", "/stream", "/", "/docs", "/nope"])
def test_on_loopback_a_foreign_name_reads_nothing(tmp_path: Path, path: str) -> None:
    error = error_of(ask(tmp_path, [EVIL], path), 403)
    assert error["code"] == "host_not_allowed"
    assert "evil.example" in error["message"]
    assert "VOLTICK_ALLOWED_HOSTS" in error["message"]


def test_one_foreign_name_among_two_is_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, ["localhost", EVIL]).status_code == 403


@pytest.mark.parametrize(
    "hosts",
    [["127.0.0.1:8000"], ["localhost:8000"], ["LOCALHOST"], ["[::1]:8000"], ["10.1.2.3:8000"], []],
    ids=str,
)
def test_addresses_and_localhost_are_answered(tmp_path: Path, hosts: list[str]) -> None:
    assert ask(tmp_path, hosts).status_code == 200


def test_a_name_that_is_set_is_answered_and_no_other(tmp_path: Path) -> None:
    names = ("desk.example.com", "*.inner.example.com")
    for api_host in ("127.0.0.1", ANYWHERE):
        fields = {"allowed_hosts": names, "api_host": api_host}
        assert ask(tmp_path, ["desk.example.com"], **fields).status_code == 200
        assert ask(tmp_path, ["a.inner.example.com:443"], **fields).status_code == 200
        assert ask(tmp_path, ["127.0.0.1:8000"], **fields).status_code == 200
        for other in (EVIL, "x.desk.example.com", "inner.example.com", "evil-inner.example.com"):
            assert ask(tmp_path, [other], **fields).status_code == 403


def test_where_others_reach_it_services_and_scrapes_have_their_own_names(tmp_path: Path) -> None:
    for name in ("api:8000", "api.voltick.svc.cluster.local", "desk.example.com"):
        assert ask(tmp_path, [name], api_host=ANYWHERE).status_code == 200
    assert ask(tmp_path, [EVIL], allowed_hosts=("*",)).status_code == 200


def test_behind_a_trusted_proxy_its_names_are_taken(tmp_path: Path) -> None:
    [proxy] = load_settings({"VOLTICK_TRUSTED_PROXIES": "127.0.0.1"}).trusted_proxies
    fields = {"trusted_proxies": (proxy,)}
    assert ask(tmp_path, ["scores.example"], **fields).status_code == 200
    fields["allowed_hosts"] = ("scores.example",)
    assert ask(tmp_path, ["scores.example"], **fields).status_code == 200
    assert ask(tmp_path, [EVIL], **fields).status_code == 403
