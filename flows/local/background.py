"""Work in the background of an all-in-one run: outcomes of predictions, and training."""

import threading
import time

import structlog

from flows.errors import VoltickError
from flows.host.processes import lower_priority
from flows.local.programs import start
from flows.local.supervisor import Supervisor
from flows.local.training_runs import train_models
from flows.settings import Settings
from schemas import topics

# A feed may be silent for long; these processes start all the same.
_LONGEST_WAIT_S = 30.0
# No start is faster; until then the machine is left to those that score.
_SHORTEST_WAIT_S = 1.5
_POLL_S = 0.2
_OUTCOMES_NICENESS = 5
_FIRST_RESTART_S = 5.0
_LONGEST_RESTART_S = 60.0


def start_background(
    settings: Settings, supervisor: Supervisor, *, outcomes: bool, train: bool
) -> None:
    """Start outcomes and training in a thread, once the first tick is scored.

    Parameters
    ----------
    settings
        Of the run, its feed resolved.
    outcomes
        Start ``flows.outcomes``, which feeds ``GET /quality``.
    train
        See :mod:`flows.local.training_runs`.
    """
    if not (outcomes or train):
        return

    def run() -> None:
        if not _wait_for_scores(settings, supervisor):
            return
        if outcomes:
            threading.Thread(
                target=_keep_outcomes, args=(settings, supervisor), name="outcomes", daemon=True
            ).start()
        if train:
            train_models(settings, supervisor)

    threading.Thread(target=run, name="background", daemon=True).start()


def _wait_for_scores(settings: Settings, supervisor: Supervisor) -> bool:
    """Wait for the first score, for some time; return whether the run goes on."""
    if supervisor.stopping(_SHORTEST_WAIT_S):
        return False
    # Here, not above: the client takes a quarter of a second to import.
    import redis
    from redis.exceptions import RedisError

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


def _keep_outcomes(settings: Settings, supervisor: Supervisor) -> None:
    """Keep the outcomes' flow running; where it ends, live quality stands still until it is back.

    Its end costs the run nothing else, so it is started again, after a time that doubles.
    """
    wait_s = _FIRST_RESTART_S
    while not supervisor.stopping():
        began = time.monotonic()
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
        lower_priority(child.pid, _OUTCOMES_NICENESS)
        code = child.popen.wait()
        if supervisor.stopping():
            return
        supervisor.end(child)
        if time.monotonic() - began > _LONGEST_RESTART_S:
            wait_s = _FIRST_RESTART_S
        structlog.get_logger().warning(
            "the outcomes process ended: GET /quality stands still until it is started again",
            exit_code=code,
            in_s=wait_s,
        )
        if supervisor.stopping(wait_s):
            return
        wait_s = min(2 * wait_s, _LONGEST_RESTART_S)
