"""Disturbances of members of a consumer group: whatever happens to some, the rest take over."""

import itertools
import random
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from flows.host.lossy_output import SAID_BY
from tests.proof.broker_faults import leader_of
from tests.proof.cluster import Cluster
from tests.proof.faults import error_line
from tests.proof.pauses import PauseMeter
from tests.proof.progress import Progress
from tests.support.answers import answer_of
from tests.support.kafka.apache import ApacheKafka
from tests.support.polling import free_ports, pause, until
from tests.support.processes import Process

MEMBERS = 3
# Shorter than the default, for more events in the same time.
SESSION_S = 3.0
WRONG_CLOCK = "tests.proof.wrong_clock"
NAME = "VOLTICK_INSTANCE_ID"

_SETTLED_LIMIT_S = 90.0


def owned_at(port: int) -> set[int]:
    """Return which partitions a flow says that it owns; none while it does not answer."""
    return set(answer_of(port, "/health").get("assigned", ()))


class Group:
    """The members that run, and what happens to them; a context manager that measures pauses."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)  # noqa: S311 - repeatable by seed
        self.ports: dict[Process, int] = {}
        self._names: dict[Process, str] = {}
        name = cluster.incarnations.settings["VOLTICK_GROUP"]
        config, partitions = cluster.broker.client_config(), cluster.plan.partitions
        self.meter = PauseMeter(Progress(config, name, partitions))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.meter.close()

    def begin(self, count: int) -> None:
        """Start so many members, and wait until each has its share."""
        for _ in range(count):
            self.start()
        self.wait_settled()

    @property
    def running(self) -> list[Process]:
        """The members, oldest first."""
        return list(self.ports)

    def start(
        self, module: str = "flows.pipeline", options: Sequence[str] = (), **more: str
    ) -> Process:
        """Start another member; ``options`` are the engine's, ``more`` are settings."""
        [port] = free_ports(1)
        plan = self.cluster.plan
        settings = {
            "VOLTICK_METRICS_PORT": str(port),
            "VOLTICK_SESSION_TIMEOUT_MS": str(round(SESSION_S * 1000)),
            **more,
        }
        if plan.named and NAME not in more:
            settings[NAME] = self._free_name()
        if plan.workers > 1 and not options:
            options = ["-w", str(plan.workers)]
        process = self.cluster.incarnations.start(module, options, **settings)
        self.ports[process] = port
        if NAME in settings:
            self._names[process] = settings[NAME]
        return process

    def drop(self, process: Process) -> None:
        """Count it out: it has ended."""
        del self.ports[process]
        self._names.pop(process, None)

    def _free_name(self) -> str:
        taken = set(self._names.values())
        return next(
            name for name in map("member-{}".format, itertools.count(1)) if name not in taken
        )

    def owned(self, process: Process) -> set[int]:
        """Return which partitions a member owns; none while it does not answer."""
        return owned_at(self.ports[process])

    def owners(self) -> dict[int, Process]:
        """Return which member owns each partition; without those that none owns now."""
        return {partition: process for process in self.running for partition in self.owned(process)}

    def followed(self, process: Process) -> set[int]:
        """Return which partitions of others a member follows, and is not behind with."""
        lags = answer_of(self.ports[process], "/health").get("standby_lag_messages", {})
        return {int(partition) for partition, lag in lags.items() if lag == 0}

    def metric(self, process: Process, name: str) -> float:
        """Return the value of one of a member's metrics that has no labels."""
        address = f"http://127.0.0.1:{self.ports[process]}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        [value] = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
        return float(value)

    def settled(self) -> bool:
        """Tell whether every partition is owned once, and every member owns its fair share."""
        for process in self.running:
            if not process.running:
                return True  # judged by the caller
        shares = [self.owned(process) for process in self.running]
        partitions = self.cluster.plan.partitions
        workers = self.cluster.plan.workers
        fair = workers * (partitions // (len(shares) * workers))
        owned = sorted(each for share in shares for each in share)
        return owned == list(range(partitions)) and all(len(each) >= fair for each in shares)

    def wait_settled(self) -> None:
        """Wait until the group has shared out anew, and there was another commit everywhere."""
        until(self.settled, "a fair share for each member", _SETTLED_LIMIT_S, 0.1)
        self.cluster.incarnations.wait_whole(self.running)

    def go_on(self, what: str, moved: Collection[int], act: Callable[[], None]) -> None:
        """Do something to the members, let them settle, and note each partition's pause.

        Parameters
        ----------
        moved
            Partitions whose owner it happens to; none where that does not matter. Of the others,
            those that another member owns afterwards count apart.
        """
        before = self.owners()
        self.meter.begin()
        act()
        self.wait_settled()
        pauses_s, after = self.meter.pauses_s(), self.owners()
        longest: dict[str, tuple[float, int]] = {}
        for partition, pause_s in pauses_s.items():
            key = what
            if moved and partition not in moved:
                kept = before.get(partition) is after.get(partition)
                key = f"{what}, others" if kept else f"{what}, others shared out anew"
            self.cluster.incarnations.pauses_s.setdefault(key, []).append(pause_s)
            longest[key] = max(longest.get(key, (0.0, 0)), (pause_s, partition))
        for key, (pause_s, partition) in longest.items():
            self.cluster.say(f"{key}: at most {pause_s:.2f} s, partition {partition}")

    def pick(self) -> Process:
        """Return one of the members."""
        return self.random.choice(self.running)


def kill(group: Group) -> None:
    """SIGKILL of one; another is started once its partitions are taken over."""
    victim = group.pick()

    def act() -> None:
        group.cluster.incarnations.kill(victim)
        group.drop(victim)

    group.go_on("kill", group.owned(victim), act)
    group.go_on("start", (), group.start)


def terminate(group: Group) -> None:
    """SIGTERM of one, and start another."""
    leave(group)
    group.go_on("start", (), group.start)


def leave(group: Group) -> None:
    """SIGTERM of one: it commits, leaves, and ends well; nobody takes its place."""
    victim = group.pick()

    def act() -> None:
        group.cluster.incarnations.stop(victim)
        assert SAID_BY not in victim.stderr, victim.tail()
        group.drop(victim)

    group.go_on("term", group.owned(victim), act)


def sleep(group: Group) -> None:
    """SIGSTOP of one for longer than its session: it wakes up without partitions, and joins."""
    victim = group.pick()

    def act() -> None:
        victim.pause()
        pause(SESSION_S + group.random.uniform(0.5, 4.0))
        victim.resume()

    group.go_on("sleep", group.owned(victim), act)
    assert victim.running, victim.tail()


def join(group: Group) -> None:
    """Start another, then end the oldest well: they are as many as before."""
    group.go_on("start", (), group.start)
    oldest = group.running[0]

    def act() -> None:
        group.cluster.incarnations.stop(oldest)
        group.drop(oldest)

    group.go_on("term", group.owned(oldest), act)


def wrong_clock(group: Group) -> None:
    """Exchange one for one whose clock is an hour off."""
    victim = group.pick()

    def act() -> None:
        group.start(WRONG_CLOCK)
        group.cluster.incarnations.kill(victim)
        group.drop(victim)

    group.go_on("kill and start", group.owned(victim), act)


def restart_broker(group: Group) -> None:
    """SIGKILL the broker, or one of three, and start it again on its data."""
    broker = group.cluster.broker
    assert isinstance(broker, ApacheKafka)
    node = group.random.choice(broker.nodes)

    def act() -> None:
        node.kill()
        pause(group.random.uniform(0.2, 1.0))
        node.start()
        broker.wait_ready()
        for process in group.running:
            if not process.running:  # it may give up, and says why
                error_line(process)
                group.drop(process)
                group.start()

    group.go_on("broker", range(group.cluster.plan.partitions), act)


def change_leader(group: Group) -> None:
    """SIGKILL the node that leads a partition; it comes back once they go on without it."""
    broker = group.cluster.broker
    assert isinstance(broker, ApacheKafka)
    partitions = range(group.cluster.plan.partitions)
    node = leader_of(broker, group.random.choice(partitions))
    group.go_on("leader", partitions, node.kill)
    node.start()
    broker.wait_ready()


EVENTS = {
    kill: 6,
    terminate: 4,
    sleep: 3,
    join: 2,
    wrong_clock: 1,
    restart_broker: 1,
    change_leader: 1,
}
"""What happens to members, and how often of 18 times; the last needs three nodes."""


def members(cluster: Cluster) -> None:
    """Three members under load, and seeded events that happen to them."""
    with Group(cluster, cluster.plan.seed) as group:
        group.begin(MEMBERS)
        events = {each: often for each, often in EVENTS.items() if _possible(each, cluster)}
        acts = group.random.choices(list(events), list(events.values()), k=cluster.plan.events)
        for number, act in enumerate(acts, 1):
            cluster.say(f"event {number}: {act.__name__}")
            act(group)
            _all_run(group)


def rescale_members(cluster: Cluster) -> None:
    """1, 2, 4, 8, 3 and 1 members: start more, end some well, at once."""
    with Group(cluster, cluster.plan.seed) as group:
        for count in (1, 2, 4, 8, 3, 1):
            now = len(group.running)

            def act(count: int = count, now: int = now) -> None:
                for _ in range(count - now):
                    group.start()
                leaving = group.running[count:]
                for process in leaving:
                    process.terminate()
                for process in leaving:
                    assert process.wait_exit(30) == 0, process.tail()
                    group.drop(process)

            group.go_on(f"{now} to {count}", (), act)
            _all_run(group)
            cluster.say(f"{count} members")


def rolling_members(cluster: Cluster) -> None:
    """Restart named members one by one: nothing moves. Then one of two workers joins them.

    Meanwhile another flow's group shares the same topic out.
    """
    names = ("one", "two", "three")
    with Group(cluster, cluster.plan.seed) as group, _candles(cluster):

        def start(name: str) -> Process:
            # Long enough for a restart beside the load of everything else.
            return group.start(VOLTICK_INSTANCE_ID=name, VOLTICK_SESSION_TIMEOUT_MS="60000")

        members = {name: start(name) for name in names}
        group.wait_settled()
        for name in names:
            before = {each: group.owned(members[each]) for each in names}
            older = members[name]

            def act(name: str = name, older: Process = older) -> None:
                cluster.incarnations.stop(older)
                group.drop(older)
                members[name] = start(name)

            group.go_on("restart of a named one", before[name], act)
            assert {each: group.owned(members[each]) for each in names} == before
            cluster.say(f"member {name} is back, nothing has moved: {before}")
        group.go_on("start", (), lambda: group.start(options=["-w", "2"]))
        double = group.running[-1]
        cluster.say(f"the process of two workers owns {group.owned(double)}")
        fair = 2 * (cluster.plan.partitions // (len(names) + 2))
        assert len(group.owned(double)) >= fair, f"two workers share less than {fair} partitions"
        _all_run(group)


@contextmanager
def _candles(cluster: Cluster) -> Iterator[None]:
    """Let another group read the same topic: one member, which owns all of it."""
    [port] = free_ports(1)
    process = cluster.incarnations.start("flows.candles", VOLTICK_CANDLES_METRICS_PORT=str(port))
    everything = set(range(cluster.plan.partitions))
    until(lambda: owned_at(port) == everything, "all for the other group", _SETTLED_LIMIT_S, 0.1)
    yield
    assert owned_at(port) == everything, process.tail()
    cluster.incarnations.stop(process)


def _possible(act: Callable[[Group], None], cluster: Cluster) -> bool:
    return act is not change_leader or cluster.broker.replication > 1


def _all_run(group: Group) -> None:
    for process in group.running:
        if not process.running:
            group.cluster.incarnations.note_end(process)
            group.drop(process)
            group.start()
