"""The API on a real socket, and what the pipeline would have left in Redis for it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import redis
import uvicorn
from fastapi import FastAPI

from flows.runtime.ports import listen
from flows.settings import Settings
from schemas import topics
from schemas.predictions import Prediction, TargetScore
from serving.__main__ import Server, run
from serving.app import create_app
from tests.support.polling import until

DEAD_REDIS = "redis://127.0.0.1:1/0"
TOKEN = "open-sesame"  # noqa: S105


def settings_for(folder: Path, redis_url: str, **fields) -> Settings:
    """Settings of an API under test; nothing of the environment or a ``.env`` file."""
    return Settings(redis_url=redis_url, model_store=folder / "models", **fields)


STOP_LIMIT_S = 60.0
"""A request to Kafka that is under way at the stop is waited for, on a busy machine for long."""


@contextmanager
def running(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Serve ``app`` from a thread, on any free port by default; yield its address."""
    listener = listen("127.0.0.1", port, setting="VOLTICK_API")
    listener.setblocking(False)
    port = listener.getsockname()[1]
    server = Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=1
        ),
        app,
    )
    thread = threading.Thread(target=lambda: run(server, listener), daemon=True)
    thread.start()
    until(lambda: server.started, "the API to start")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(STOP_LIMIT_S)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def api(folder: Path, redis_url: str, *, port: int = 0, **fields) -> Iterator[str]:
    """Serve the API over this Redis; yield its address."""
    with running(create_app(settings_for(folder, redis_url, **fields)), port) as address:
        yield address


def prediction(symbol: str = "BTC-USD", *, age_s: float = 0.0, offset: int = 0, **fields):
    """A prediction made ``age_s`` ago."""
    scored_ns = fields.pop("ts_scored_ns", time.time_ns() - int(age_s * 1e9))
    scores = fields.pop(
        "scores",
        {
            "volatility_spike": TargetScore(
                score=0.25, decision=False, model="tiny", version="v", variant="tiny"
            )
        },
    )
    return Prediction(
        **{
            "symbol": symbol,
            "venue": "coinbase-exchange",
            "ts_event_ns": scored_ns - 1_000_000,
            "trade_id": offset,
            "price": 100.5,
            "mid": 100.25,
            "warm": True,
            "late": False,
            "gap": False,
            "scores": scores,
            "feature_set": 1,
            "ts_scored_ns": scored_ns,
            "partition": 0,
            "offset": offset,
            **fields,
        }
    )


def write(client: redis.Redis, made: Prediction) -> bytes:
    """Leave a prediction in Redis as the pipeline does: latest, history and stream."""
    message = msgspec.json.encode(made)
    client.sadd(topics.SYMBOLS_KEY, made.symbol)
    client.hset(
        topics.latest_key(made.symbol),
        mapping={"ts_scored_ns": str(made.ts_scored_ns), "message": message},
    )
    client.xadd(topics.history_key(made.symbol), {"message": message})
    client.publish(topics.STREAM_CHANNEL, message)
    return message


def read_events(stream: socket.socket, wanted: int, deadline_s: float = 20.0) -> list[str]:
    """Read server-sent events until ``wanted`` of kind ``score`` have come; return their data."""
    end = time.monotonic() + deadline_s
    text = b""
    while text.count(b"event: score") < wanted or not text.endswith(b"\r\n"):
        stream.settimeout(max(0.01, end - time.monotonic()))
        chunk = stream.recv(65536)
        assert chunk, "the stream ended"
        text += chunk
    return [
        line.removeprefix("data: ")
        for line in text.decode().splitlines()
        if line.startswith("data: {")
    ]


def open_stream(address: str, path: str = "/stream", *, receive_buffer: int = 0) -> socket.socket:
    """Open an event stream on a plain socket, which reads only when told to."""
    host, port = address.removeprefix("http://").split(":")
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.settimeout(10)
    stream.connect((host, int(port)))
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return stream


def error_of(response: httpx.Response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) <= {"code", "message", "detail"}
    assert error["code"]
    assert error["message"]
    return error
