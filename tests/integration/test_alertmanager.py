"""Debian's Alertmanager, started as its container is, sends alerts where it is told to."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.containers import compose
from tests.support.polling import until
from tests.support.prometheus import Alertmanager
from tests.support.rest_server import Reply, RestServer

START = Path(__file__).resolve().parents[2] / "docker" / "alertmanager" / "start.sh"
WEBHOOK, SLACK = "ALERTMANAGER_WEBHOOK_URL", "ALERTMANAGER_SLACK_URL"
ALERT = {
    "labels": {"alertname": "VoltickProcessDown", "severity": "critical"},
    "annotations": {"summary": "a process is down", "runbook": "docker/RUNBOOK.md"},
}


@pytest.fixture
def receiver() -> Iterator[RestServer]:
    with RestServer(lambda _request: Reply(b"ok")) as found:
        yield found


def posted_to(receiver: RestServer) -> dict[str, dict]:
    """Return the newest JSON that was posted, by path and query."""
    return {each.target: json.loads(each.body) for each in list(receiver.requests)}


def send(server: Alertmanager) -> None:
    def taken() -> bool:
        url = f"http://127.0.0.1:{server.port}/api/v2/alerts"
        return httpx.post(url, json=[ALERT], timeout=10).is_success

    until(taken, "an alert to be taken", 60)


def said(server: Alertmanager) -> str:
    return (server.folder / "server.log").read_text()


def test_an_alert_reaches_the_receivers_of_a_variable_and_of_a_file(
    tmp_path: Path, receiver: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slack-url").write_text(f"{receiver.url}/slack\n")
    monkeypatch.setenv(WEBHOOK, f"{receiver.url}/hook?key=a&b=c")
    monkeypatch.setenv(f"{SLACK}_FILE", str(tmp_path / "slack-url"))
    with Alertmanager(tmp_path / "server") as server:
        send(server)
        until(lambda: len(posted_to(receiver)) == 2, "both to be told", 60)
        assert "no receiver is set" not in said(server)
    posted = posted_to(receiver)
    [alert] = posted["/hook?key=a&b=c"]["alerts"]
    assert alert["labels"] == ALERT["labels"]
    [message] = posted["/slack"]["attachments"]
    assert message["title"] == "FIRING: VoltickProcessDown"
    assert message["text"].strip() == "a process is down (docker/RUNBOOK.md)"


def test_without_a_receiver_it_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEBHOOK, "")
    monkeypatch.setenv(f"{SLACK}_FILE", str(tmp_path / "none"))
    with Alertmanager(tmp_path / "server") as server:
        send(server)
        until(lambda: ("VoltickProcessDown", "") in server.firing(), "the alert at its page", 60)
        assert "no receiver is set" in said(server)


@pytest.mark.parametrize(
    "address",
    ["slack", "http://", "http://a b", "http://a'\n  - url: b", "file:///x"],
    ids=["word", "nothing", "blank", "injected", "file"],
)
def test_what_is_no_address_is_refused_by_name(address: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", START],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), SLACK: address},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    # The address is a secret: it is not repeated.
    assert done.stderr == f"alertmanager: {SLACK} is no http:// or https:// address\n"


def test_compose_starts_it_so() -> None:
    told = compose({SLACK: "https://hooks.example.com/x"})["services"]["alertmanager"]
    assert told["entrypoint"] == ["sh", f"/etc/alertmanager/{START.name}"]
    assert told["environment"] == {WEBHOOK: "", SLACK: "https://hooks.example.com/x"}
