"""What can wait until ticks are scored: judging predictions, and learning from ticks."""

import threading
import time

import redis
import structlog
from redis.exceptions import RedisError

from flows.errors import VoltickError
from flows.local.programs import calm, start
from flows.local.supervisor import Supervisor
from flows.local.training_runs import learn
from flows.settings import Settings
from schemas import topics

# A feed may be silent for long; then it is not for these processes to wait.
_LONGEST_WAIT_S = 30.0
_POLL_S = 0.2
_JUDGING_NICENESS = 5


def start_afterwards(
    settings: Settings, supervisor: Supervisor, *, judge: bool, train: bool
) -> None:
    """Start, once the first tick is scored and in a thread of its own, what can wait till then.

    Parameters
    ----------
    settings
        Of the run, its feed resolved.
    judge
        Start ``flows.outcomes``, which feeds ``GET /quality``.
    train
        See :mod:`flows.local.training_runs`.
    """
    if not (judge or train):
        return

    def run() -> None:
        if not _wait_for_scores(settings, supervisor):
            return
        if judge:
            _start_judging(settings, supervisor)
        if train:
            learn(settings, supervisor)

    threading.Thread(target=run, name="afterwards", daemon=True).start()


def _wait_for_scores(settings: Settings, supervisor: Supervisor) -> bool:
    """Wait for the first score, for some time; return whether the run goes on."""
    deadline = time.monotonic() + _LONGEST_WAIT_S
    url = settings.redis_url
    client = redis.Redis.from_url("" if url is None else url.get_secret_value(), socket_timeout=1.0)
    with client:
        while not supervisor.stopping(_POLL_S):
            try:
                scored = bool(client.exists(topics.SYMBOLS_KEY))
            except RedisError:
                scored = False
            if scored or time.monotonic() > deadline:
                return True
    return False


def _start_judging(settings: Settings, supervisor: Supervisor) -> None:
    """Start the outcomes' flow: a trouble of its own costs live quality, not the run."""
    try:
        child = start(
            settings.replace(metrics_port=0),  # the pipeline's own port
            supervisor,
            "outcomes",
            ["bytewax.run", "flows.outcomes"],
            essential=False,
            watched=False,
        )
    except VoltickError:  # everything is being stopped
        return
    calm(child, _JUDGING_NICENESS)

    def wait() -> None:
        code = child.popen.wait()
        if not supervisor.stopping():
            structlog.get_logger().warning(
                "the outcomes process ended: GET /quality stands still", exit_code=code
            )

    threading.Thread(target=wait, name="watch-outcomes", daemon=True).start()
