"""One proof from its seed to its verdict."""

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import redis

from schemas import topics
from schemas.predictions import Prediction
from tests.proof.checker import Defect, Outputs, check, check_same_bytes
from tests.proof.feeder import Feeder, Rhythm
from tests.proof.inputs import messages
from tests.proof.lives import Lives
from tests.proof.progress import Progress
from tests.proof.scene import Broker, Plan, Scene, Torment, settings_of
from tests.proof.scores import Store, check_scores
from tests.proof.torments import kill_by_plan
from tests.proof.values import check_values
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka_tools import Message, Outgoing, create_topics, fill, read_topic
from tests.twin.expectation import Expected, expect

CATCH_UP_LIMIT_S = 300.0
_AFTER_TORMENT = 3_000


@dataclass
class Verdict:
    """What a proof found."""

    plan: Plan
    inputs: int
    kills: int
    recoveries_s: list[float]
    standstills_s: list[float] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    accidents: list[str] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """Return the number of defects of a kind."""
        return sum(defect.kind == kind for defect in self.defects)

    def line(self) -> dict[str, object]:
        """Return the result line; a wrong partition is counted under ``different``."""
        recoveries, stood = sorted(self.recoveries_s), self.standstills_s
        return {
            "seed": self.plan.seed,
            "kills": self.kills,
            "inputs": self.inputs,
            "missing": self.count("missing"),
            "twice": self.count("twice"),
            "different": self.count("different") + self.count("wrong_partition"),
            "out_of_order": self.count("out_of_order"),
            "accidents": len(self.accidents),
            "recovery_s_p50": round(statistics.median(recoveries), 2) if recoveries else None,
            "recovery_s_max": round(recoveries[-1], 2) if recoveries else None,
            "standstill_s_max": round(max(stood), 2) if stood else None,
        }

    def failed(self, *, keeps_guarantees: bool) -> bool:
        """Tell whether anything happened that must not on this kind of broker."""
        forbidden = {"missing", "different", "wrong_partition"}
        if keeps_guarantees:
            forbidden |= {"twice", "out_of_order"}
        return bool(self.accidents) or any(each.kind in forbidden for each in self.defects)


def prove(
    broker: Broker,
    plan_: Plan,
    folder: Path,
    say: Callable[[str], None],
    torment: Torment = kill_by_plan,
) -> Verdict:
    """Torment the pipeline on a broker without topics and judge what came out.

    Parameters
    ----------
    folder
        Existing and empty; keeps the output of every life.
    say
        Takes progress in words.
    torment
        Starts, disturbs and ends pipelines under load; after it one more comes to the end.
    """
    config = broker.client_config()
    create_topics(config, plan_.partitions, broker.replication)
    group = f"proof-{plan_.seed}-{os.getpid()}"
    store = folder / "models"
    rhythm = Rhythm.averaging(plan_.rate_hz)
    feeder = Feeder(config, messages(plan_.seed, plan_.partitions), rhythm)
    progress = Progress(config, group, plan_.partitions)
    with Valkey(folder / "valkey") as valkey:
        environment = settings_of(broker, valkey, store, group, plan_.partitions)
        lives = Lives({**environment, **plan_.settings}, folder, progress, say)
        scene = Scene(plan_, broker, valkey, folder, store, feeder, progress, lives, say)
        feeder.write(plan_.before)
        feeder.start()
        try:
            torment(scene)
        except (AssertionError, TimeoutError) as broken:
            # What came out is judged all the same.
            lives.accidents.append(f"the torment went otherwise: {broken}")
        finally:
            feeder.stop()
            lives.end_all()
        feeder.write(max(_AFTER_TORMENT, plan_.ticks - feeder.total))
        feeder.close()
        with lives.start() as last:
            lives.watch_until_commit(last, progress.total())
            try:
                progress.wait_for(feeder.counts, CATCH_UP_LIMIT_S, lambda: last.running)
                say(f"caught up with {feeder.total} inputs")
            except TimeoutError as short:
                say(str(short))
                lives.note_end(last)
            progress.close()
            raw = read_topic(config, topics.TICKS_RAW, at_least=feeder.total)
            expected = expect(raw)
            outputs = read_outputs(broker, expected)
            verdict = Verdict(plan_, len(raw), lives.kills, lives.recoveries_s, lives.standstills_s)
            verdict.accidents = lives.accidents
            verdict.defects += check_redis(valkey, outputs)
    verdict.defects += judge(expected, outputs, store, plan_)
    if plan_.uninterrupted:
        reference = uninterrupted(raw, expected, plan_.partitions, folder)
        verdict.defects += check_same_bytes(outputs.features, reference.features)
        say("compared with an uninterrupted run on the same input")
    return verdict


def judge(expected: Expected, outputs: Outputs, store: Path, plan_: Plan) -> list[Defect]:
    """Return every defect that the twin, the oracle and the store's models tell."""
    return [
        *check(expected, outputs),
        *check_scores(outputs.predictions, outputs.features, Store(store)),
        *check_values(expected, outputs.features, plan_.seed, plan_.oracle_rows),
    ]


def read_outputs(broker: Broker, expected: Expected | None = None) -> Outputs:
    """Read the three output topics to their ends; wait for as many as are expected."""
    config = broker.client_config()
    rows, letters = (len(expected.rows), len(expected.letters)) if expected else (0, 0)
    return Outputs(
        read_topic(config, topics.PREDICTIONS, at_least=rows),
        read_topic(config, topics.TICKS_FEATURES, at_least=rows),
        read_topic(config, topics.DEAD_LETTERS, at_least=letters),
    )


def uninterrupted(raw: list[Message], expected: Expected, partitions: int, folder: Path) -> Outputs:
    """Run the pipeline undisturbed on the same messages in the same partitions.

    On an embedded broker of its own: without an aborted transaction it is as good as any.
    """
    ends: dict[int, int] = {}
    ordered = sorted(raw, key=lambda message: (message.partition, message.offset))
    for message in ordered:
        assert message.offset == ends.get(message.partition, 0), "ticks.raw has holes"
        ends[message.partition] = message.offset + 1
    servers = folder / "uninterrupted"
    with EmbeddedBroker(servers / "broker") as broker, Valkey(servers / "valkey") as valkey:
        config = broker.client_config()
        create_topics(config, partitions)
        fill(
            config,
            (Outgoing(each.partition, each.key, each.value, each.timestamp_ms) for each in ordered),
        )
        environment = settings_of(broker, valkey, folder / "models", "uninterrupted", partitions)
        progress = Progress(config, "uninterrupted", partitions)
        lives = Lives(environment, servers, progress, lambda _: None)
        with lives.start() as life:
            lives.watch_until_commit(life, 0)
            progress.wait_for(ends, CATCH_UP_LIMIT_S, lambda: life.running)
            progress.close()
            return read_outputs(broker, expected)


def check_redis(valkey: Valkey, outputs: Outputs) -> list[Defect]:
    """Return symbols whose latest prediction in Redis is not their last on the topic."""
    last: dict[str, Prediction] = {}
    for message in outputs.predictions:
        found = msgspec.json.decode(message.value, type=Prediction)
        last[found.symbol] = found
    defects = []
    with redis.Redis.from_url(valkey.url) as client:
        for symbol, newest in last.items():
            stored = client.hget(topics.latest_key(symbol), "message")
            if stored is None or msgspec.json.decode(stored, type=Prediction) != newest:
                origin = (newest.partition, newest.offset)
                detail = f"latest of {symbol} is {stored!r:.300}, not offset {newest.offset}"
                defects.append(Defect("different", "redis", origin, detail))
    return defects
