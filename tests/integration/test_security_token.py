"""Everything that changes state needs the token, whatever route is added."""

import hmac
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.app import create_app
from serving.http import security
from tests.support.api import DEAD_REDIS, api, settings_for

TOKEN = "correct-horse-battery-staple"  # noqa: S105
SAFE = {"GET", "HEAD", "OPTIONS"}
# Computes an answer and keeps nothing.
CHANGES_NOTHING = {("POST", "/predict")}


def changing_routes(folder) -> list[tuple[str, str]]:
    document = create_app(settings_for(folder, DEAD_REDIS)).openapi()
    return [
        (method.upper(), path.replace("{target}", "volatility_spike"))
        for path, operations in document["paths"].items()
        for method in operations
        if method.upper() not in SAFE and (method.upper(), path) not in CHANGES_NOTHING
    ]


def test_every_changing_route_is_closed_without_the_token(tmp_path):
    routes = changing_routes(tmp_path)
    assert len(routes) >= 3
    for token, status in ((None, 403), (TOKEN, 401)):
        with api(tmp_path, DEAD_REDIS, api_token=token) as address:
            for method, path in routes:
                for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}):
                    answer = httpx.request(method, address + path, headers=headers, json={})
                    assert answer.status_code == status, (method, path, headers)
                    assert TOKEN not in answer.text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with api(tmp_path_factory.mktemp("api"), DEAD_REDIS, api_token=TOKEN) as address:
        yield address


@settings(max_examples=40)
@given(
    given_=st.one_of(
        st.binary(max_size=60),
        st.sampled_from([TOKEN, TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "", "*"]).map(str.encode),
        st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    scheme=st.sampled_from([b"Bearer ", b"bearer ", b"Basic ", b"Token ", b""]),
)
def test_only_the_token_itself_opens(guarded, given_, scheme):
    # What cannot be in a header at all is left out.
    value = bytes(byte for byte in scheme + given_ if byte >= 32 and byte != 127).strip()
    headers = [(b"Authorization", value)]
    answer = httpx.post(f"{guarded}/models/volatility_spike/rollback", headers=headers)
    opened = value.strip().lower().startswith(b"bearer ") and value.split(b" ", 1)[1].strip() == (
        TOKEN.encode()
    )
    assert (answer.status_code == 401) == (not opened), value


def test_tokens_are_compared_in_constant_time(guarded, monkeypatch):
    compared = []

    def compare(ours, theirs):
        compared.append((len(ours), len(theirs)))
        return hmac.compare_digest(ours, theirs)

    with monkeypatch.context() as patch:
        patch.setattr(security, "hmac", SimpleNamespace(compare_digest=compare))
        for token in ("a", "b" * 500, TOKEN):
            httpx.post(
                f"{guarded}/models/volatility_spike/rollback",
                headers={"Authorization": f"Bearer {token}"},
            )
    assert compared == [(32, 32)] * 3
