"""Run seeds through ``flows.ingest`` as a process, and read what came of them from a real broker.

One process reads several venues at once, each of which follows the plan of its own feed. It ends by
SIGTERM once the last trade of every symbol lies in ``ticks.raw``. What its metrics say of ticks and
gaps must be what a reader counts.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.feeds.plan import url_variable
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick
from tests.proof.feeds.checker import Defect
from tests.proof.feeds.plan import Plan
from tests.proof.feeds.run import Outcome, is_done, judge
from tests.proof.feeds.session import Session
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import create_topics
from tests.support.polling import free_ports
from tests.support.processes import Process, flow

DEADLINE_S = 180.0
_END_S = 30.0
_QUIET_S = 1.0
_COUNTER = re.compile(r'^voltick_ingest_(ticks|gaps)_total\{.*venue="([^"]+)".*\} (\S+)$', re.M)

Broker = ApacheKafka | EmbeddedBroker
Message = TypeVar("Message", Tick, DeadLetter)


class Ingests:
    """Runs of ``flows.ingest`` at one broker, one after another.

    Parameters
    ----------
    broker
        A new one.
    folder
        For the output of every run.
    """

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker, self._folder = broker, folder
        create_topics(broker.client_config(), 1)
        self._log = _Log(broker)

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def run(self, plans: Sequence[Plan]) -> list[Outcome]:
        """Let one process read the venues of some plans, each of another feed, and check all."""
        self._log.ticks.clear()
        self._log.dead.clear()
        with ExitStack() as stack:
            sessions = [stack.enter_context(Session(plan)) for plan in plans]
            [port] = free_ports(1)
            process = stack.enter_context(self._process(sessions, port))
            end_s = time.monotonic() + DEADLINE_S
            while not self._is_done(sessions) and process.running and time.monotonic() < end_s:
                self._log.read(0.1)
            counted = _counted(port) if process.running else Counter()
            process.terminate()
            code = process.wait_exit(_END_S)
            self._log.read_to_end()
            return [self._outcome(session, counted, code) for session in sessions]

    def _process(self, sessions: Sequence[Session], port: int) -> Process:
        urls = {url_variable(each.plan.feed): each.url for each in sessions}
        symbols = [f"{each.plan.feed}:{name}" for each in sessions for name in each.plan.asked]
        settings = {
            **self._broker.environment(),
            **urls,
            "VOLTICK_FEED": ",".join(each.plan.feed for each in sessions),
            "VOLTICK_SYMBOLS": ",".join(symbols),
            "VOLTICK_PARTITIONS": "1",
            "VOLTICK_INGEST_METRICS_PORT": str(port),
        }
        seeds = "-".join(str(seed) for seed in sorted({each.plan.seed for each in sessions}))
        return flow("flows.ingest", self._folder, settings, f"ingest-{seeds}")

    def _is_done(self, sessions: Sequence[Session]) -> bool:
        return all(is_done(each, self._log.ticks_of(each.plan.feed)) for each in sessions)

    def _outcome(self, session: Session, counted: Counter[tuple[str, str]], code: int) -> Outcome:
        venue = session.plan.feed
        ticks = self._log.ticks_of(venue)
        outcome = judge(session, ticks, self._log.dead_of(venue))
        told = (counted["ticks", venue], counted["gaps", venue])
        found = (len(ticks), sum(tick.gap for tick in ticks))
        if told != found:
            detail = f"{venue}: its metrics say {told} ticks and gaps, there are {found}"
            outcome.defects.append(Defect("counts", detail))
        if code != 0:
            outcome.defects.append(Defect("exit code", f"{venue}: {code}"))
        return outcome


class _Log:
    """``ticks.raw`` and ``dead.letters``, read on by one consumer."""

    def __init__(self, broker: Broker) -> None:
        self.ticks: list[Tick] = []
        self.dead: list[DeadLetter] = []
        options = {
            "group.id": "proof-reader",
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
        }
        self._consumer = Consumer({**broker.client_config(), **options})
        both = (topics.TICKS_RAW, topics.DEAD_LETTERS)
        self._consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in both])

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def ticks_of(self, venue: str) -> list[Tick]:
        """Return the ticks of a venue, in the log's order."""
        return [tick for tick in self.ticks if tick.venue == venue]

    def dead_of(self, venue: str) -> list[DeadLetter]:
        """Return the dead letters of a venue."""
        return [each for each in self.dead if each.venue == venue]

    def read(self, wait_s: float) -> int:
        """Take what comes within some time, and return how many messages it is."""
        messages = self._consumer.consume(10_000, wait_s)
        for message in messages:
            assert message.error() is None, message.error()
            value = message.value() or b""
            if message.topic() == topics.TICKS_RAW:
                self.ticks.append(msgspec.json.decode(value, type=Tick))
            else:
                self.dead.append(msgspec.json.decode(value, type=DeadLetter))
        return len(messages)

    def read_to_end(self) -> None:
        """Take all that there is, once nobody writes any more."""
        while self.read(_QUIET_S):
            pass


def _counted(port: int) -> Counter[tuple[str, str]]:
    """Return how many ticks and gaps a process says that it has sent, by what and venue."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    found: Counter[tuple[str, str]] = Counter()
    for what, venue, count in _COUNTER.findall(text):
        found[what, venue] += int(float(count))
    return found
