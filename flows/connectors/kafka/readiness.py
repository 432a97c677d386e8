"""When a member joins its group: at once where it is the only one, else once it is ready.

A member that has just started computes slowly until its compiled code is there. The partitions that
the group would give it belong to others, which stream; they keep them as long as it is not ready.
"""

import threading
import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.client import ClientConfig, client_config

READY_LIMIT_S = 20.0
"""After so long a member joins as it is: loading takes a second or two, compiling some ten."""

ASK_EVERY_S = 1.0
"""How often it is asked whether others are there still: those that end leave partitions alone."""

_ANSWER_S = 5.0

MayJoin = Callable[[str | None], bool]
"""Called again and again with the member's name beyond its end, until it returns True."""


def at_once(_name: str | None) -> bool:
    """Let every member join at once."""
    return True


class JoinWhenReady:
    """Decides for all members of one process; any thread may call.

    Parameters
    ----------
    prepare
        Called once others are there, before the wait; must not wait.
    is_ready
        Whether a state can be rebuilt at full speed already.
    others
        Returns the names of the group's members, None for each that has no name.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        prepare: Callable[[], None],
        is_ready: Callable[[], bool],
        others: Callable[[], list[str | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prepare = prepare
        self._is_ready = is_ready
        self._others = others
        self._clock = clock
        self._lock = threading.Lock()
        self._is_open = False
        self._since_s: float | None = None
        self._ask_at_s = clock()

    def __call__(self, name: str | None) -> bool:
        """Tell whether a member may join now; once one may, all may.

        Parameters
        ----------
        name
            The member's name beyond its end. Where the group knows it, its partitions wait for it.
        """
        with self._lock:
            self._is_open = self._is_open or self._decides(name)
            return self._is_open

    def _decides(self, name: str | None) -> bool:
        now_s = self._clock()
        if self._since_s is not None and (
            self._is_ready() or now_s - self._since_s >= READY_LIMIT_S
        ):
            return True
        if now_s < self._ask_at_s:
            return False
        self._ask_at_s = now_s + ASK_EVERY_S
        others = self._others()
        if not others or (name is not None and name in others):
            return True
        if self._since_s is None:
            self._since_s = now_s
            self._prepare()
            structlog.get_logger().info(
                "others own the partitions until this member is ready", members=len(others)
            )
        return False


def group_members(config: ClientConfig, group: str) -> list[str | None]:
    """Return the names of a group's members, None for each that has no name.

    A broker that does not tell is taken for one without members: then nothing is waited for.
    """
    admin = AdminClient(client_config(config))
    try:
        found = admin.describe_consumer_groups([group], request_timeout=_ANSWER_S)[group].result()
    except KafkaException:
        return []
    return [member.group_instance_id for member in found.members]
