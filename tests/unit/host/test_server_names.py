"""The names by which a server on loopback may be asked."""

import pytest

from flows.errors import ConfigurationError
from flows.host.server_names import ServerNames, is_loopback
from flows.settings import load_settings


@pytest.mark.parametrize(
    "header",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "localhost.evil.example",
        "localhost.test.example",
        "evil.nottest",
        "localhost,evil.example",
        "localhost:8000:8000",
        "[::1].evil.example",
        "[evil]",
        ".",
        " ",
    ],
)
def test_what_a_page_could_be_called_is_refused(header: str) -> None:
    assert not ServerNames((), "127.0.0.1").allow(header)


@pytest.mark.parametrize(
    "header",
    [
        *("localhost", "localhost.", "me.localhost:1", "127.9.9.9", "[::1]", "192.168.0.9:80"),
        *("testserver", "api:8000", "Desk.", "api.test", "scores.desk.internal:80"),
    ],
)
def test_what_leads_nowhere_else_is_taken(header: str) -> None:
    assert ServerNames((), "::1").allow(header)


def test_the_name_it_listens_on_is_its_own() -> None:
    names = ServerNames(("other.example",), "Ingest.example")
    assert names.allow("ingest.example:9101")
    assert names.allow("other.example")
    assert not names.allow("evil.example")


def test_a_proxy_passes_its_own_names_on_until_the_setting_names_some() -> None:
    assert ServerNames((), "127.0.0.1", behind_proxy=True).allow("scores.example")
    named = ServerNames(("scores.example",), "127.0.0.1", behind_proxy=True)
    assert named.allow("scores.example")
    assert not named.allow("evil.example")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("127.example.com", False),
    ],
)
def test_where_this_machine_alone_listens(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_names_are_a_list() -> None:
    settings = load_settings({"VOLTICK_ALLOWED_HOSTS": "Desk.Example.com., *.b.example"})
    assert settings.allowed_hosts == ("desk.example.com", "*.b.example")


@pytest.mark.parametrize(
    "value", ["https://a.example", "a.example:80", "a.*.example", "*.", "a/b", "a..b", "münchen"]
)
def test_what_is_no_name_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="VOLTICK_ALLOWED_HOSTS"):
        load_settings({"VOLTICK_ALLOWED_HOSTS": value})
