"""A member of a group: how it joins, what it tells its owner, when it lets itself be given up."""

import re
import threading
import types
from typing import Any

import pytest
from confluent_kafka import OFFSET_END, KafkaError, TopicPartition

from flows.connectors.kafka import membership
from flows.connectors.kafka.membership import Member, Membership, member_config
from flows.connectors.kafka.ownership import FINISH_LIMIT_S
from flows.connectors.kafka.refusals import NotMemberError
from flows.errors import BrokerError, FencedError
from tests.support.polling import until
from tests.unit.connectors.kafka.fakes import FakeMessage


class Client:
    """A group's client whose events the test makes up."""

    def __init__(self, _options: object = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.events: list[Any] = []
        self.member_id = "member-1"
        self.polls = 0
        self.closed = False

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.calls.append(("subscribe", topics))
        self.callbacks = callbacks

    def poll(self, timeout: float) -> Any:
        assert timeout <= 1
        self.polls += 1
        if not self.events:
            return None
        event = self.events.pop(0)
        if isinstance(event, tuple):
            name, partitions = event
            places = [TopicPartition("ticks.raw", each, 7) for each in partitions]
            self.callbacks[name](self, places)
            return None
        return event

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.calls.append(("assign", [(each.partition, each.offset) for each in places]))

    def pause(self, places: list[TopicPartition]) -> None:
        self.calls.append(("pause", [each.partition for each in places]))

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        self.calls.append(("unassign", [each.partition for each in places]))

    def memberid(self) -> str:
        return self.member_id

    def consumer_group_metadata(self) -> bytes:
        return b"generation"

    def close(self) -> None:
        self.closed = True


class Owner:
    """Notes what a member tells, in the client's list of calls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.looks = 0

    def assigned(self, partitions: Any) -> None:
        self.client.calls.append(("assigned", partitions))

    def revoked(self, partitions: Any) -> None:
        self.client.calls.append(("revoked", partitions))

    def lost(self, partitions: Any) -> None:
        self.client.calls.append(("lost", partitions))

    def look(self) -> None:
        self.looks += 1


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, instance_id: str | None = None) -> None:
        self.client = Client()
        monkeypatch.setattr(membership, "Consumer", lambda _options: self.client)
        monkeypatch.setattr(membership, "_POLL_S", 0.001)
        self.owner = Owner(self.client)
        self.turning = threading.Event()
        self.turning.set()
        self.errors: list[BaseException] = []
        self.member = Member(
            {},
            "g",
            "ticks.raw",
            Membership(instance_id=instance_id),
            self.owner,
            self.turning.is_set,
            self.errors.append,
        )

    def go_through(self, *events: Any) -> list[tuple[str, Any]]:
        self.client.events += events
        self.member.join()
        until(lambda: not self.client.events or self.errors, "the events to be over")
        self.member.leave()
        return self.client.calls[1:]


def test_what_is_assigned_is_never_fetched_by_the_member(monkeypatch: pytest.MonkeyPatch):
    calls = Scene(monkeypatch).go_through(("on_assign", [2, 0]))
    assert calls == [
        ("assign", [(2, OFFSET_END), (0, OFFSET_END)]),
        ("pause", [2, 0]),
        ("assigned", [0, 2]),
    ]


def test_what_is_revoked_is_given_back_once_its_owner_is_done(monkeypatch: pytest.MonkeyPatch):
    calls = Scene(monkeypatch).go_through(("on_revoke", [1]))
    assert calls == [("revoked", [1]), ("unassign", [1])]


def test_what_is_lost_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    calls = Scene(monkeypatch).go_through(("on_lost", [1]))
    assert calls == [("lost", [1]), ("unassign", [1])]


def test_a_member_whose_worker_hangs_polls_no_more(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch)
    scene.turning.clear()
    scene.member.join()
    until(lambda: scene.owner.looks > 5, "looks")
    assert scene.client.polls == 0
    scene.turning.set()
    until(lambda: scene.client.polls > 0, "polls")
    scene.member.leave()
    assert scene.client.closed


def test_a_member_that_may_not_join_yet_is_unknown_to_the_group(monkeypatch: pytest.MonkeyPatch):
    asked: list[str | None] = []
    may = threading.Event()
    scene = Scene(monkeypatch, "me")

    def may_join(name: str | None) -> bool:
        asked.append(name)
        return may.is_set()

    scene.member._may_join = may_join
    scene.member.join()
    until(lambda: len(asked) > 2, "questions")
    assert (scene.client.calls, scene.client.polls, set(asked)) == ([], 0, {"me"})
    may.set()
    until(lambda: scene.client.polls > 0, "polls")
    assert scene.client.calls == [("subscribe", ["ticks.raw"])]
    scene.member.leave()


def test_a_member_that_never_may_join_can_leave(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch)
    scene.member._may_join = lambda _name: False
    scene.member.join()
    scene.member.leave()
    assert (scene.client.calls, scene.client.closed) == ([], True)


def test_a_commit_names_the_member_and_is_refused_without_one(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch)
    with pytest.raises(NotMemberError):
        scene.member.metadata()
    scene.member.join()
    until(lambda: scene.member.is_joined, "the member to have joined")
    assert scene.member.metadata() == b"generation"
    scene.client.member_id = ""
    until(lambda: not scene.member.is_joined, "the member to be given up")
    with pytest.raises(NotMemberError):
        scene.member.metadata()
    scene.member.leave()


ENDS = {
    "replaced by its namesake": (KafkaError.FENCED_INSTANCE_ID, FencedError, "INSTANCE_ID=pod-3"),
    "not allowed": (
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        BrokerError,
        r"group g cannot be joined: .*; allow READ on it",
    ),
    "a session that the broker does not take": (
        KafkaError.INVALID_SESSION_TIMEOUT,
        BrokerError,
        r"group g cannot be joined: .*; set VOLTICK_SESSION_TIMEOUT_MS",
    ),
    "a protocol that the others do not speak": (
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        BrokerError,
        r"group g cannot be joined: .*; all its members need the same VOLTICK_GROUP_PROTOCOL",
    ),
    "a broker that knows no such protocol": (
        KafkaError.UNSUPPORTED_VERSION,
        BrokerError,
        r"group g cannot be joined: .*VOLTICK_ASSIGNMENT=all",
    ),
}


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_member_ends_the_process(kind: str, monkeypatch: pytest.MonkeyPatch):
    code, error, said = ENDS[kind]
    scene = Scene(monkeypatch, "pod-3")
    scene.go_through(FakeMessage(0, error=KafkaError(code)))
    [found] = scene.errors
    assert isinstance(found, error)
    assert re.search(said, str(found))


def test_a_member_that_was_too_slow_joins_again(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch)
    scene.go_through(FakeMessage(0, error=KafkaError(KafkaError._MAX_POLL_EXCEEDED)))
    assert scene.errors == []


def test_a_group_that_takes_nobody_in_is_told_of_once_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
):
    scene = Scene(monkeypatch)
    scene.client.member_id = ""
    monkeypatch.setattr(membership, "JOIN_PATIENCE_S", 0.0)
    told: list[str] = []
    scene.member._log = types.SimpleNamespace(warning=lambda what, **_more: told.append(what))
    scene.member.join()
    until(lambda: scene.owner.looks > 5, "looks")
    assert len(told) == 1
    assert "VOLTICK_ASSIGNMENT=all" in told[0]
    scene.client.member_id = "member-1"
    until(lambda: scene.member.is_joined, "the member to have joined")
    looks = scene.owner.looks
    until(lambda: scene.owner.looks > looks + 1, "another look")
    scene.client.member_id = ""
    until(lambda: len(told) == 2, "to be told again")
    scene.member.leave()


def test_each_worker_of_a_named_process_has_a_name_of_its_own():
    named = Membership(instance_id="pod-3")
    assert [named.of_worker(k).instance_id for k in range(3)] == ["pod-3", "pod-3-1", "pod-3-2"]
    assert Membership().of_worker(1).instance_id is None


def test_a_session_and_its_heartbeats_are_set_where_the_protocol_leaves_them_to_the_client():
    classic = member_config({}, "g", Membership(session_timeout_ms=6_000, instance_id="a"))
    assert classic["partition.assignment.strategy"] == "cooperative-sticky"
    assert (classic["session.timeout.ms"], classic["heartbeat.interval.ms"]) == (6_000, 500)
    assert classic["group.instance.id"] == "a"
    short, long = (member_config({}, "g", Membership("classic", ms)) for ms in (1_200, 600_000))
    assert (short["heartbeat.interval.ms"], long["heartbeat.interval.ms"]) == (100, 500)
    consumer = member_config({}, "g", Membership("consumer"))
    assert consumer["group.protocol"] == "consumer"
    assert not {"session.timeout.ms", "partition.assignment.strategy"} & consumer.keys()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_group_waits_for_a_revocation_and_not_for_much_longer(protocol: Any):
    longest_ms = member_config({}, "g", Membership(protocol))["max.poll.interval.ms"]
    assert 2_000 * FINISH_LIMIT_S <= longest_ms <= 10_000


def test_a_session_may_be_longer_than_the_group_waits():
    # The client refuses one that is longer than its time between polls.
    patient = member_config({}, "g", Membership("classic", 600_000))
    assert patient["max.poll.interval.ms"] == patient["session.timeout.ms"] == 600_000


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_client_takes_the_configuration(protocol: Any):
    from confluent_kafka import Consumer

    options = member_config(
        {"bootstrap.servers": "127.0.0.1:1"}, "g", Membership(protocol, instance_id="a")
    )
    Consumer({**options, "error_cb": lambda _error: None}).close()
