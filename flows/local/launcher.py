"""Start the servers and programs that a run lacks, as child processes that end with it."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import structlog

from flows import logs
from flows.errors import ConfigurationError, ModelStoreError
from flows.host.signals import on_stop_signals
from flows.local.background import start_background
from flows.local.child import Child, Ended
from flows.local.embedded import HOST, free_port, start_broker, start_redis
from flows.local.programs import start_api, start_ingest
from flows.local.status_line import start_status_line
from flows.local.supervisor import Supervisor
from flows.numeric.time import NS_PER_S
from flows.runtime.cluster import cluster_words
from flows.runtime.ports import check_port
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from schemas.feeds import REPLAY_PREFIX, FeedName

_MEGABYTE = 1_000_000
_MEMORY_POLL_S = 2.0
# Measured: a fetch costs the embedded broker some 0.7 us for each batch of the partition.
_EMBEDDED_SPACING_US = 20.0
# Exit codes of flows.errors: the child has already said what is wrong, in one line.
_EXPLAINED = (2, 3, 4)
# Some ten seconds of the kernel that is not compiled yet.
MAX_HISTORY_TICKS = 100_000


def ensure_services(settings: Settings) -> Settings:
    """Start a broker, a Redis, a feed and the API where no broker is configured.

    For a process whose main thread then runs the dataflow. Where ``KAFKA_BOOTSTRAP_SERVERS`` is
    set nothing is started. What is started ends with this process, however that ends; if one of
    the children ends first, this process does too.

    Returns
    -------
    Settings
        With the addresses of what was started, and the feed that ``auto`` stands for.

    Raises
    ------
    ConfigurationError
        The run is one process of a cluster, whose processes need a common broker.
    PortTakenError
        The API cannot listen where it should.
    VoltickError
        A server does not come up.
    """
    if settings.kafka_bootstrap_servers is not None:
        return settings
    refuse_cluster(sys.argv[1:], os.environ)
    check_port(settings.api_host, settings.api_port, setting="VOLTICK_API")
    supervisor = Supervisor(_end_process)
    end_on_signals(supervisor)
    resolve = resolve_feed(settings)
    served = with_feed_metrics(with_history(resolve(start_servers(settings, supervisor))))
    start_ingest(served, supervisor)
    start_api(served, supervisor)
    start_status_line(served, supervisor, announce(settings, served, api=True))
    start_background(served, supervisor, outcomes=True, train=served.train_at_start)
    return served


def resolve_feed(settings: Settings) -> Callable[[Settings], Settings]:
    """Begin to resolve the feed ``auto``, in a thread.

    Every process of the run needs the answer: a model trained on simulated ticks serves no other
    feed.

    Returns
    -------
    Callable[[Settings], Settings]
        Waits for the answer and returns the settings with that feed.
    """
    if settings.feed != FeedName.AUTO:
        return lambda served: served

    def ask() -> str:
        from flows.feeds.registry import choose  # a client's imports, beside the servers' start

        embedded = settings.kafka_bootstrap_servers is None
        return choose(settings.feed, settings.feed_url, may_simulate=embedded)

    pool = ThreadPoolExecutor(1)
    answer = pool.submit(ask)
    pool.shutdown(wait=False)
    return lambda served: served.replace(feed=answer.result())


def with_history(settings: Settings, now_ns: Callable[[], int] = time.time_ns) -> Settings:
    """Let a simulated market begin in the past, its live ticks now; say where a replay's past ends.

    For an embedded broker alone: a log that outlives the run would get a second past with the next
    one.

    Raises
    ------
    CaptureError
        The recording cannot be read.
    """
    if settings.replays and settings.replay_from_s > 0:
        return settings.replace(live_from_ns=_end_of_past_ns(settings))
    longest_s = int(MAX_HISTORY_TICKS / settings.simulate_rate_hz)
    history_s = min(settings.simulate_history_s, longest_s)
    if settings.feed != FeedName.SIMULATE or history_s == 0:
        return settings
    return settings.replace(simulate_history_s=history_s, live_from_ns=now_ns())


def _end_of_past_ns(settings: Settings) -> int:
    """Return the event time up to which a replay is sent at full speed."""
    from flows.feeds.recordings import first_received_ns  # not for every run's start

    path = Path(settings.feed.removeprefix(REPLAY_PREFIX))
    return first_received_ns(path) + int(settings.replay_from_s * NS_PER_S)


def with_feed_metrics(settings: Settings) -> Settings:
    """Let a live feed's ingest answer metrics on a free port of loopback, which the API reads."""
    made_up = settings.replays or settings.feed == FeedName.SIMULATE
    if made_up or settings.ingest_metrics_port or settings.metrics_host != HOST:
        return settings
    return settings.replace(ingest_metrics_port=free_port())


def refuse_cluster(arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Refuse a run that is one process of several: each would start a broker of its own.

    Raises
    ------
    ConfigurationError
    """
    asked = cluster_words(arguments, env)
    if asked:
        message = (
            f"{asked[0]} makes this one process of a cluster, which needs a common broker:"
            " set KAFKA_BOOTSTRAP_SERVERS"
        )
        raise ConfigurationError(message)


def start_servers(settings: Settings, supervisor: Supervisor) -> Settings:
    """Start the embedded broker and Redis where none is configured; return their addresses.

    With an embedded broker, a model store that cannot be written is replaced by one that ends with
    the run, unless it holds models.
    """
    changes: dict[str, object] = {}
    broker = redis = None
    if settings.kafka_bootstrap_servers is None:
        broker = start_broker(supervisor)
    if settings.redis_url is None:
        redis = start_redis(supervisor)
    if broker is not None:
        changes["kafka_bootstrap_servers"], child = broker()
        changes["embedded_broker_pid"] = child.pid
        changes["assignment"] = "all"  # a group's joins take it seconds
        changes["feed_spacing_us"] = settings.feed_spacing_us or _EMBEDDED_SPACING_US
        _watch_memory(child, settings.embedded_memory_mb, supervisor)
    if redis is not None:
        changes["redis_url"], _ = redis()
    if broker is not None and not _can_learn(settings):
        changes["model_store"] = supervisor.folder / "models"
    return settings.replace(**changes)


def _can_learn(settings: Settings) -> bool:
    """Return whether the model store can be written, or holds models that serve as they are."""
    store = ModelStore(settings.model_store)
    try:
        store.check_writable()
    except ModelStoreError as error:
        with contextlib.suppress(ModelStoreError):
            if store.targets():
                return True
        structlog.get_logger().warning(
            "models of this run end with it; set VOLTICK_MODEL_STORE to a folder that can be"
            " written",
            cause=str(error),
        )
        return False
    return True


def announce(asked: Settings, served: Settings, *, api: bool) -> str | None:
    """Log where to look, and that embedded servers keep their data in memory alone.

    Returns
    -------
    Address of the page; None without an API.
    """
    log = structlog.get_logger()
    own_redis = asked.redis_url is None and served.redis_url is not None
    redis = {"redis": served.redis_url.get_secret_value()} if own_redis and served.redis_url else {}
    if asked.kafka_bootstrap_servers is None:
        log.warning(
            "EMBEDDED broker: its data DIE WITH THIS PROCESS, and it does not promise exactly once;"
            " set KAFKA_BOOTSTRAP_SERVERS for more than a trial",
            kafka=served.kafka_bootstrap_servers,
            **redis,
        )
    elif redis:
        log.info("embedded Redis", **redis)
    if served.feed == FeedName.SIMULATE:
        past = {} if served.live_from_ns is None else {"history_s": served.simulate_history_s}
        log.warning("SIMULATED market: no price of this run is real", **past)
    page = None
    if api:
        host = "127.0.0.1" if asked.api_host in ("0.0.0.0", "::", "") else asked.api_host  # noqa: S104
        base = f"http://{f'[{host}]' if ':' in host else host}:{asked.api_port}"
        page = f"{base}/"
        log.info("look here", page=page, docs=f"{base}/docs", scores=f"{base}/scores")
    return page


def end_on_signals(supervisor: Supervisor) -> None:
    """On SIGINT, SIGTERM and SIGHUP, end the children, then this process; nothing is drained.

    The dataflow's engine answers a signal with a panic and a backtrace, and what an open
    transaction holds is dropped either way.
    """

    def end(number: signal.Signals) -> None:
        structlog.get_logger().info("stopping", signal=number.name)
        logs.silence()  # the dataflow of this process runs until its end, the broker's comes before
        supervisor.stop(lambda: _exit(128 + number))

    on_stop_signals(end)


def explain(ended: Ended) -> int:
    """Log which child ended the run, unless it did so itself; return the run's exit code."""
    if not ended.explained and ended.exit_code not in _EXPLAINED:
        structlog.get_logger().error(
            f"the {ended.child.name} process ended, and the run with it",
            exit_code=ended.exit_code,
            said=ended.said or None,
        )
    return ended.exit_code if ended.exit_code > 0 else 1


def _end_process(ended: Ended) -> None:
    """End the whole process from the watching thread: the main one is inside the engine."""
    _exit(explain(ended))


def _exit(code: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # the progress line hides the cursor
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch_memory(broker: Child, limit_mb: int, supervisor: Supervisor) -> None:
    """End the run when the broker, which never deletes anything, has filled its share."""
    process = psutil.Process(broker.pid)
    log = structlog.get_logger()

    def watch() -> None:
        warned = False
        while supervisor.wait(_MEMORY_POLL_S) is None and process.is_running():
            try:
                used_mb = process.memory_info().rss / _MEGABYTE
            except psutil.NoSuchProcess:
                return
            if used_mb > limit_mb:
                log.error(
                    "the embedded broker has filled its memory, and the run ends; raise"
                    " VOLTICK_EMBEDDED_MEMORY_MB or set KAFKA_BOOTSTRAP_SERVERS",
                    used_mb=round(used_mb),
                )
                logs.silence()
                supervisor.end_run(Ended(broker, 1, "", explained=True))
                return
            if used_mb > 0.8 * limit_mb and not warned:
                warned = True
                log.warning("the embedded broker is filling up", used_mb=round(used_mb))

    threading.Thread(target=watch, name="watch-memory", daemon=True).start()
