"""``python -m serving``: the API and the live page."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from flows import logs
from flows.errors import ConfigurationError, VoltickError
from flows.host.lossy_output import SAID_BY, tell
from flows.host.server_names import is_loopback
from flows.runtime.ports import listen
from flows.settings import load_settings
from serving.app import create_app

HELP = """python -m serving: the API and the live page; all settings come from the environment.

Example: REDIS_URL=redis://127.0.0.1:6379/0 VOLTICK_API_PORT=8080 python -m serving
"""

_BACKLOG = 2048
KEEP_ALIVE_S = 75
"""How long an idle connection is kept: longer than load balancers keep theirs, mostly 60 s. One
that is closed while a balancer sends a request by it is an error to the balancer's client."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Closes open event streams before it waits for requests; a signal is no error."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; unlike the stock server do not raise them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the streams, then wait for the requests under way."""
        self._app.state.context.broadcaster.close_clients()
        await super().shutdown(sockets)


def run(server: Server, listener: socket.socket) -> None:
    """Serve until the server is told to stop.

    uvloop and httptools, where there are wheels of them, halve what a read costs.
    """
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


def serve(app: FastAPI, listener: socket.socket, log_level: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning" if log_level == "info" else log_level,  # it tells of its own start
        access_log=False,
        proxy_headers=False,  # the application decides which proxies are believed
        server_header=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=_BACKLOG,
    )
    run(Server(config, app), listener)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the API; return the exit code."""
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    try:
        if arguments:
            message = (
                f"python -m serving takes no argument such as {arguments[0]!r}; its settings come"
                " from the environment, the port from VOLTICK_API_PORT"
            )
            raise ConfigurationError(message)
        settings = load_settings()
        logs.configure(settings.log_format, settings.log_level)
        app = create_app(settings)
        listener = listen(
            settings.api_host, settings.api_port, setting="VOLTICK_API", backlog=_BACKLOG
        )
        listener.setblocking(False)
    except VoltickError as error:
        tell(f"{SAID_BY}{error}\n")
        return error.exit_code
    log = structlog.get_logger()
    host, port = listener.getsockname()[:2]
    if not is_loopback(str(host)):
        log.warning("the API is reachable from other machines", host=host)
    log.info("API listens", url=f"http://{settings.api_host}:{port}/", docs="/docs")
    with listener:
        serve(app, listener, settings.log_level)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
