"""A worker's membership of a consumer group, which shares the partitions of a topic out.

The member's client fetches nothing: partitions are paused as they come, and read by clients of
their own, so that a rebalance never holds back what goes on. A thread serves the member. It does so
only while the worker takes its turns: the group gives up a member whose worker hangs.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, TopicPartition

from flows.connectors.kafka.client import ClientConfig, client_config
from flows.connectors.kafka.readiness import MayJoin, at_once
from flows.connectors.kafka.refusals import NotMemberError
from flows.errors import BrokerError, FencedError

MAX_POLL_INTERVAL_MS = 10_000
"""After so long without a poll the group gives the member up: twice what a revocation may take.

So long, too, the group waits for members that do not join when it shares out anew. Mostly those
that have died are known by their sessions. But Apache Kafka 4.1, started again after a failure, may
load a group twice at once, and then waits for all the members from before, and forgets some that
have joined meanwhile: these ask again once this time is over.
"""

HEARTBEAT_MS = 500
"""A member learns by its heartbeat that the group shares out anew, however long its session is."""

HEARTBEATS_PER_SESSION = 12
"""At least so many: a short session does not end by one heartbeat that comes late."""

JOIN_PATIENCE_S = 30.0
"""A member that no group has taken in for so long says so: not every broker coordinates groups."""

_POLL_S = 0.02
# librdkafka's names of its own error codes begin with an underscore.
_TOO_SLOW = KafkaError._MAX_POLL_EXCEEDED  # noqa: SLF001

GroupProtocol = Literal["classic", "consumer"]


@dataclass(frozen=True, slots=True)
class Membership:
    """How to be a member.

    Attributes
    ----------
    protocol
        ``consumer`` needs Apache Kafka 4; the broker then decides the session time-out.
    session_timeout_ms
        After this without a heartbeat the group gives the member up.
    instance_id
        Names the member beyond its end: started again within the session, it gets its partitions
        back, and nobody else's move. None for a member that leaves the group with its end.
    """

    protocol: GroupProtocol = "classic"
    session_timeout_ms: int = 6_000
    instance_id: str | None = None

    def of_worker(self, number: int) -> "Membership":
        """Return that of one of a process's workers."""
        name = self.instance_id
        if name is None or number == 0:
            return self
        return Membership(self.protocol, self.session_timeout_ms, f"{name}-{number}")


class Owner(Protocol):
    """What owns the partitions; called by the member's thread."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take partitions over; must not wait."""

    def revoked(self, partitions: Sequence[int]) -> None:
        """Give partitions up; return once what is complete is committed."""

    def lost(self, partitions: Sequence[int]) -> None:
        """Drop partitions: others may own them already. Must not wait."""

    def look(self) -> None:
        """Do what is due; called several times a second."""


class Member:
    """A member of a group.

    Joins with :meth:`join`, leaves with :meth:`leave`.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    group, topic
        Which group shares which topic out.
    is_turning
        Whether the worker takes its turns.
    on_error
        Called by the member's thread with what ends it.
    may_join
        Until it returns True for the member's name, the member does not join.
    """

    def __init__(
        self,
        config: ClientConfig,
        group: str,
        topic: str,
        membership: Membership,
        owner: Owner,
        is_turning: Callable[[], bool],
        on_error: Callable[[BaseException], object],
        may_join: MayJoin = at_once,
    ) -> None:
        self._may_join = may_join
        self._group = group
        self._topic = topic
        self._membership = membership
        self._owner = owner
        self._is_turning = is_turning
        self._on_error = on_error
        self._consumer = Consumer(member_config(config, group, membership))
        # A client's calls wait for each other, and a poll lasts: other threads see a copy.
        self._metadata: object = None
        self._outside_since_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="group-member", daemon=True)
        self._log = structlog.get_logger()

    def join(self) -> None:
        """Join the group as soon as that may be; partitions come when it has shared them out."""
        self._thread.start()

    def leave(self) -> None:
        """Leave the group, which shares out anew; a member with an instance's name stays in it."""
        self._stop.set()
        self._thread.join()
        self._metadata = None
        self._consumer.close()

    @property
    def is_joined(self) -> bool:
        """Whether the group knows this member, as far as the member has heard."""
        return self._metadata is not None

    def metadata(self) -> object:
        """Return what a commit says of its maker: group, member and generation of the group.

        Raises
        ------
        NotMemberError
            The group has given the member up.
        """
        found = self._metadata
        if found is None:
            message = "the group has given this member up"
            raise NotMemberError(message)
        return found

    def _run(self) -> None:
        try:
            self._subscribe()
            while not self._stop.is_set():
                if self._is_turning():
                    message = self._consumer.poll(_POLL_S)
                    error = None if message is None else message.error()
                    if error is not None:
                        self._heed(error)
                else:
                    self._stop.wait(_POLL_S)
                self._refresh()
                self._look_whether_joined()
                self._owner.look()
        except BaseException as error:  # whatever ends the thread has to reach the flow
            self._on_error(error)

    def _subscribe(self) -> None:
        while not self._may_join(self._membership.instance_id):
            if self._stop.wait(_POLL_S):
                return
        self._outside_since_s = time.monotonic()
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _refresh(self) -> None:
        found: object = self._consumer.consumer_group_metadata()
        self._metadata = found if self._consumer.memberid() else None

    def _look_whether_joined(self) -> None:
        """Say once that the group does not take the member in, until it has."""
        if self._metadata is not None:
            self._outside_since_s = time.monotonic()
        elif time.monotonic() - self._outside_since_s > JOIN_PATIENCE_S:
            self._outside_since_s = math.inf
            self._log.warning(
                "the group does not take this member in, so nothing is read; " + _WAY_OUT,
                group=self._group,
            )

    def _heed(self, error: KafkaError) -> None:
        if error.code() == KafkaError.FENCED_INSTANCE_ID or error.fatal():
            message = (
                f"this member of the group was replaced: another process has the same"
                f" VOLTICK_INSTANCE_ID={self._membership.instance_id} ({error.str()})"
            )
            raise FencedError(message)
        if error.code() == _TOO_SLOW:
            self._log.warning("the group gave this member up: it stood still for too long")
        elif error.code() in _REFUSED:
            cure = _REFUSED[error.code()]
            message = f"group {self._group} cannot be joined: {error.str()}; {cure}"
            raise BrokerError(message)

    def _on_assign(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        # Paused before anything is fetched; the readers fetch.
        places = [TopicPartition(self._topic, each.partition, OFFSET_END) for each in found]
        consumer.incremental_assign(places)
        consumer.pause(places)
        self._refresh()
        partitions = _numbers(found)
        self._log.info("partitions assigned", partitions=partitions)
        self._owner.assigned(partitions)

    def _on_revoke(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        self._refresh()
        partitions = _numbers(found)
        self._log.info("partitions revoked", partitions=partitions)
        self._owner.revoked(partitions)
        consumer.incremental_unassign(found)

    def _on_lost(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        self._metadata = None
        partitions = _numbers(found)
        self._log.warning("partitions lost: the group gave this member up", partitions=partitions)
        self._owner.lost(partitions)
        consumer.incremental_unassign(found)


_WAY_OUT = "VOLTICK_ASSIGNMENT=all does without members: one process then reads all partitions"
# What the broker does not take, and what helps.
_REFUSED = {
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow READ on it; flows.archive does"
    " without by VOLTICK_ASSIGNMENT=all",
    KafkaError.INVALID_SESSION_TIMEOUT: "set VOLTICK_SESSION_TIMEOUT_MS to what the broker takes"
    " (group.min.session.timeout.ms, group.max.session.timeout.ms)",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "all its members need the same VOLTICK_GROUP_PROTOCOL,"
    " and no other program may share it",
    KafkaError.UNSUPPORTED_VERSION: f"see VOLTICK_GROUP_PROTOCOL, or {_WAY_OUT}",
    KafkaError.GROUP_MAX_SIZE_REACHED: "it has as many members as the broker allows",
}


def member_config(config: ClientConfig, group: str, membership: Membership) -> dict[str, Any]:
    """Return the configuration of a member's client."""
    options: dict[str, object] = {
        "group_id": group,
        "enable_auto_commit": False,
        "enable_auto_offset_store": False,
        "auto_offset_reset": "latest",
        "group_protocol": membership.protocol,
        "queued_min_messages": 1,
    }
    if membership.instance_id is not None:
        options["group_instance_id"] = membership.instance_id
    longest_ms = MAX_POLL_INTERVAL_MS
    if membership.protocol == "classic":
        # The other protocol leaves these to the broker, and refuses them.
        session_ms = membership.session_timeout_ms
        longest_ms = max(longest_ms, session_ms)
        options |= {
            "partition_assignment_strategy": "cooperative-sticky",
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": min(session_ms // HEARTBEATS_PER_SESSION, HEARTBEAT_MS),
        }
    return client_config(config, **options, max_poll_interval_ms=longest_ms)


def _numbers(found: Sequence[TopicPartition]) -> list[int]:
    return sorted(each.partition for each in found)
