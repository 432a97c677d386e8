"""Debian's Alertmanager, started as its container is, sends alerts where it is told to."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.containers import compose
from tests.support.polling import until
from tests.support.prometheus import Alertmanager

START = Path(__file__).resolve().parents[2] / "docker" / "alertmanager" / "start.sh"
WEBHOOK, SLACK = "ALERTMANAGER_WEBHOOK_URL", "ALERTMANAGER_SLACK_URL"
ALERT = {
    "labels": {"alertname": "VoltickProcessDown", "severity": "critical"},
    "annotations": {"summary": "a process is down", "runbook": "docker/RUNBOOK.md"},
}


class Receiver:
    """A server that keeps the JSON that is posted to it, by path."""

    def __init__(self) -> None:
        self.posted: dict[str, dict] = {}
        posted = self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                posted[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:  # the library's name
                """Say nothing of each request."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def send(server: Alertmanager) -> None:
    def taken() -> bool:
        url = f"http://127.0.0.1:{server.port}/api/v2/alerts"
        return httpx.post(url, json=[ALERT], timeout=10).is_success

    until(taken, "an alert to be taken", 60)


def said(server: Alertmanager) -> str:
    return (server.folder / "server.log").read_text()


def test_an_alert_reaches_the_receivers_of_a_variable_and_of_a_file(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slack-url").write_text(f"{receiver.url}/slack\n")
    monkeypatch.setenv(WEBHOOK, f"{receiver.url}/hook?key=a&b=c")
    monkeypatch.setenv(f"{SLACK}_FILE", str(tmp_path / "slack-url"))
    with Alertmanager(tmp_path / "server") as server:
        send(server)
        until(lambda: len(receiver.posted) == 2, "both to be told", 60)
        assert "no receiver is set" not in said(server)
    [alert] = receiver.posted["/hook?key=a&b=c"]["alerts"]
    assert alert["labels"] == ALERT["labels"]
    [message] = receiver.posted["/slack"]["attachments"]
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
