"""Starting the API: one clear line for what cannot work."""

import asyncio
import socket

import pytest

from flows.errors import ConfigurationError
from flows.settings import Settings
from serving import __main__ as entry
from serving.app import create_app
from serving.monitoring.probe import BrokerProbe
from tests.support.api import DEAD_REDIS


def test_without_a_redis_it_does_not_start():
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        create_app(Settings())


def test_command_prints_one_line_and_fails(monkeypatch, capsys):
    monkeypatch.setenv("VOLTICK_API_PORT", "none")
    assert entry.main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("voltick: ")
    assert "VOLTICK_API_PORT" in captured.err


def test_a_connection_is_kept_longer_than_load_balancers_keep_theirs(monkeypatch):
    started = []
    monkeypatch.setattr(entry, "run", lambda server, _listener: started.append(server.config))
    with socket.socket() as listener:
        entry.serve(create_app(Settings(redis_url=DEAD_REDIS)), listener, "info")
    assert started[0].timeout_keep_alive > 60


def test_an_argument_is_refused_where_it_would_be_passed_over(capsys):
    assert entry.main(["--port", "9000"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "'--port'" in captured.err
    assert "VOLTICK_API_PORT" in captured.err


def test_broker_is_asked_once_in_some_seconds():
    now = [0.0]
    probe = BrokerProbe({"bootstrap.servers": "127.0.0.1:1"}, clock=lambda: now[0])
    asked = []
    ask = probe._ask
    probe._ask = lambda: (asked.append(now[0]), ask())[1]

    async def checks() -> None:
        for moment in (0.0, 1.0, 10.0):
            now[0] = moment
            answers = await asyncio.gather(*(probe.check() for _ in range(3)))
            assert not any(answer.ok for answer in answers)

    asyncio.run(checks())
    assert asked == [0.0, 10.0]
