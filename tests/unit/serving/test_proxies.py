"""What a proxy says is believed from trusted addresses alone."""

import asyncio

import pytest

from flows.errors import ConfigurationError
from flows.settings import load_settings
from serving.http.proxies import TrustedProxies

HEADERS = [
    (b"x-forwarded-for", b"203.0.113.9"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-prefix", b"/voltick/"),
]


def seen(trusted: list[str], client: tuple[str, int] | None, headers=HEADERS) -> dict:
    scopes = []

    async def app(scope, _receive, _send):
        scopes.append(dict(scope))

    scope = {
        "type": "http",
        "client": client,
        "scheme": "http",
        "root_path": "",
        "headers": headers,
    }
    asyncio.run(TrustedProxies(app, trusted)(scope, None, None))
    return scopes[0]


@pytest.mark.parametrize(
    "trusted", [["*"], ["10.0.0.0/8"], ["10.1.2.3"], ["192.0.2.1", "10.1.2.3"]]
)
def test_a_trusted_proxy_names_client_scheme_and_prefix(trusted):
    scope = seen(trusted, ("10.1.2.3", 1234))
    assert scope["client"][0] == "203.0.113.9"
    assert scope["scheme"] == "https"
    assert scope["root_path"] == "/voltick"


@pytest.mark.parametrize("trusted", [[], ["192.0.2.1"], ["fd00::/8"]])
@pytest.mark.parametrize("client", [("10.1.2.3", 1234), ("/run/socket", 0), None], ids=str)
def test_others_are_not_believed(trusted, client):
    scope = seen(trusted, client)
    assert (scope["client"], scope["scheme"], scope["root_path"]) == (client, "http", "")


@pytest.mark.parametrize(
    "prefix", [b"", b"/", b"voltick", b"//evil.example", b"/a b", b"/\xff", b'/a"b']
)
def test_prefix_that_is_no_path_is_ignored(prefix):
    scope = seen(["*"], ("10.1.2.3", 1), [(b"x-forwarded-prefix", prefix)])
    assert scope["root_path"] == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VOLTICK_TRUSTED_PROXIES", "proxy"),
        ("VOLTICK_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("VOLTICK_API_ROOT_PATH", "voltick"),
        ("VOLTICK_API_ROOT_PATH", "https://host/voltick"),
    ],
)
def test_unusable_setting_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        load_settings({name: value})


def test_slash_at_the_end_of_a_root_path_makes_no_difference():
    assert load_settings({"VOLTICK_API_ROOT_PATH": "/voltick/"}).api_root_path == "/voltick"
