"""One broker, the same ticks and model for all, and contestants that take turns on it."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from schemas import topics
from tests.bench.load import Message, fill
from tests.bench.peers.catalogue import LIMIT, OURS, Peer
from tests.bench.peers.environments import python_of
from tests.bench.peers.process import PeerProcess
from tests.bench.peers.reference import Reference, flat, messages
from tests.bench.peers.task import Task
from tests.bench.servers import Servers
from tests.support.kafka.jars import jars_folder
from tests.support.kafka.tools import create_topics

# Outputs tell by the broker's clock when they were appended.
_OUTPUT = {"message.timestamp.type": "LogAppendTime"}
_JARS_LIMIT_S = 600.0
_ENDLESS = 1 << 40


class Contest:
    """What contestants of one broker share.

    Parameters
    ----------
    place
        The broker, and a folder for everything.
    reference
        The model.
    symbols
        How many.
    cache
        Folder of the peers' environments.
    tuning
        What is tried instead of the peers' own settings.
    """

    def __init__(
        self, place: Servers, reference: Reference, symbols: int, cache: Path, tuning: str = ""
    ) -> None:
        self.place = place
        self.reference = reference
        self.symbols = symbols
        self._cache = cache
        self._tuning = tuning
        self._turns = 0
        # What was written to the product's input: its topic outlives a turn.
        self._ours: list[bytes] = []
        self.ticks: Iterator[Message] = flat(messages(_ENDLESS, symbols))
        others = [name for name in topics.ALL if name != topics.PREDICTIONS]
        create_topics(place.config, 1, names=others)
        create_topics(place.config, 1, names=[topics.PREDICTIONS], settings=_OUTPUT)

    @property
    def config(self) -> dict[str, str]:
        """What a client needs to connect."""
        return self.place.config

    def turn(self, peer: Peer, *, own_input: bool) -> "Entry":
        """Return a new turn of a contestant with an output topic of its own.

        The product reads and writes its own topics, whose names are fixed.

        Parameters
        ----------
        own_input
            With an empty input topic of its own too, instead of the one that all read.
        """
        self._turns += 1
        name = f"{peer.name}-{self._turns}"
        group = f"bench-{name}"
        source, target = topics.TICKS_RAW, topics.PREDICTIONS
        if peer.name != OURS:
            target = f"bench.{name}.out"
            create_topics(self.config, 1, names=[target], settings=_OUTPUT)
            if own_input:
                source = f"bench.{name}.in"
                create_topics(self.config, 1, names=[source])
        elif own_input:
            # It goes on where its last turn ended; otherwise it begins at the beginning.
            group = "bench-own"
        state = self.place.folder / f"state-{name}"
        state.mkdir()
        return Entry(self, peer, name, group, source, target, state)

    def fed(self, entry: "Entry", values: list[bytes]) -> None:
        """Note what was written to a turn's own input."""
        if entry.peer.name == OURS:
            self._ours += values

    def fed_before(self, entry: "Entry") -> int:
        """Return the offset of the next tick that is written to a turn's own input, so far."""
        return len(self._ours) if entry.peer.name == OURS else 0

    def values_of(self, entry: "Entry", turn: list[bytes]) -> list[bytes]:
        """Return everything in a turn's own input, given what this turn has written."""
        return list(self._ours) if entry.peer.name == OURS else turn

    def command(self, peer: Peer) -> list[str]:
        """Return what starts a peer.

        Raises
        ------
        PeerUnavailableError, JarsUnavailableError
            It cannot run here.
        """
        python = python_of(peer.requirements, self._cache)
        return [str(python), "-m", f"tests.bench.peers.engines.{peer.module}"]

    def task(self, entry: "Entry", *, features: bool) -> Task:
        """Return what a peer is told."""
        jars = entry.peer.jars
        return Task(
            bootstrap=self.place.broker.bootstrap,
            source=entry.source,
            target=entry.target,
            group=entry.group,
            model=str(self.reference.onnx),
            state=str(entry.state),
            jars=str(jars_folder(jars, entry.peer.name, _JARS_LIMIT_S)) if jars else "",
            features=features,
            tuning=self._tuning,
        )


class Entry:
    """A contestant's turn: where it reads and writes, and how its process is started.

    Attributes
    ----------
    group
        Its consumer group or application id.
    source, target
        Its topics.
    state
        Its folder, kept from one incarnation to the next.
    """

    def __init__(
        self,
        contest: Contest,
        peer: Peer,
        name: str,
        group: str,
        source: str,
        target: str,
        state: Path,
    ) -> None:
        self.contest = contest
        self.peer = peer
        self.name = name
        self.group = group
        self.source = source
        self.target = target
        self.state = state

    def process(self, count: int | None = None, *, features: bool = False) -> PeerProcess:
        """Return, not started yet, the contestant as a process.

        Parameters
        ----------
        count
            How many ticks there will be, where that is known: all but the pass-through ignore it.
        features
            Ask for the features in each output.
        """
        place = self.contest.place
        if self.peer.name == OURS:
            flow = place.flow(
                self.contest.reference.store, self.group, self.name, VOLTICK_PUBLISH_FEATURES="0"
            )
            command, settings = [flow.python, *flow.arguments], flow.settings
        elif self.peer.name == LIMIT:
            copy = place.passthrough(self.source, self.target, count)
            command, settings = [copy.python, *copy.arguments], copy.settings
        else:
            command = self.contest.command(self.peer)
            settings = self.contest.task(self, features=features).environment()
        return PeerProcess(command, place.folder, settings, self.name)

    def feed(self, count: int) -> list[bytes]:
        """Write the next ticks to its own input and return them."""
        load = list(islice(self.contest.ticks, count))
        values = [each["value"] for each in load]
        fill(self.contest.config, [load], self.source)
        self.contest.fed(self, values)
        return values

    def close(self) -> None:
        """Remove what it kept."""
        shutil.rmtree(self.state, ignore_errors=True)
