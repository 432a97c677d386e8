"""Which pages of other origins may read the API."""

import asyncio
from pathlib import Path

import httpx
import pytest

from flows.errors import ConfigurationError
from flows.settings import Settings, load_settings
from serving.app import create_app
from tests.support.api import DEAD_REDIS

OWN = "https://desk.example.com"


def ask(tmp_path: Path, method: str, path: str, headers: dict, *origins: str) -> httpx.Response:
    settings = Settings(redis_url=DEAD_REDIS, model_store=tmp_path, cors_origins=origins)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


def allowed(tmp_path: Path, origin: str, *origins: str) -> str | None:
    answer = ask(tmp_path, "GET", "/features", {"Origin": origin}, *origins)
    assert answer.status_code == 200
    found: str | None = answer.headers.get("access-control-allow-origin")
    return found


def test_no_origin_is_let_in_unless_it_is_named(tmp_path: Path) -> None:
    assert allowed(tmp_path, OWN) is None
    assert allowed(tmp_path, OWN, OWN) == OWN
    assert allowed(tmp_path, "https://other.example.com", OWN) is None
    assert allowed(tmp_path, OWN, "*") == "*"


def test_a_browser_may_ask_first(tmp_path: Path) -> None:
    asked = {
        "Origin": OWN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = ask(tmp_path, "OPTIONS", "/models/t/champion", asked, OWN)
    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "value",
    ["desk.example.com", "https://desk.example.com/", "https://a@b", "ftp://x", "https://"],
    ids=["no scheme", "a path", "a user", "another scheme", "no host"],
)
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="VOLTICK_API_CORS_ORIGINS"):
        load_settings({"VOLTICK_API_CORS_ORIGINS": value})


def test_origins_are_a_list() -> None:
    settings = load_settings({"VOLTICK_API_CORS_ORIGINS": f"{OWN},http://127.0.0.1:3000"})
    assert settings.cors_origins == (OWN, "http://127.0.0.1:3000")
