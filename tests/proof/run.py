"""One proof from its seed to its result."""

import os
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas import topics
from tests.oracle.expectation import Expected, expect
from tests.proof.checker import Defect, Outputs, check, check_same_bytes
from tests.proof.cluster import Broker, Cluster, Fault, Plan, settings_of
from tests.proof.faults import kill_by_plan
from tests.proof.feeder import Feeder, Rhythm
from tests.proof.incarnations import Incarnations
from tests.proof.inputs import messages
from tests.proof.models import publish_models
from tests.proof.progress import Progress
from tests.proof.redis_state import check_redis
from tests.proof.repeats import Content, lost, noted, overtaken, repeats
from tests.proof.scores import Store, check_scores
from tests.proof.values import check_values
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.kafka.tools import (
    Message,
    Outgoing,
    create_topics,
    end_offsets,
    fill,
    read_topic,
)
from tests.support.processes import Process

CATCH_UP_LIMIT_S = 300.0
# A timeout that a fault has made short says nothing of the run that does the rest.
_DEFAULTS = {"VOLTICK_TRANSACTION_TIMEOUT_MS": "60000"}
_AFTER_FAULT = 3_000


@dataclass
class Result:
    """What a proof found.

    Attributes
    ----------
    kills
        SIGKILLs that reached an incarnation, from outside or by its fuse.
    fenced
        Incarnations that a fence ended before their SIGKILL.
    repeats, overtaken
        What the feeder's retries did to the log, see ``tests.proof.repeats``.
    """

    plan: Plan
    inputs: int
    kills: int = 0
    fenced: int = 0
    repeats: int = 0
    overtaken: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    standstills_s: list[float] = field(default_factory=list)
    pauses_s: dict[str, list[float]] = field(default_factory=dict)
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
            "fenced": self.fenced,
            "inputs": self.inputs,
            "feeder": self.plan.feeder.value,
            "repeats": self.repeats,
            "overtaken": self.overtaken,
            "missing": self.count("missing"),
            "twice": self.count("twice"),
            "different": self.count("different") + self.count("wrong_partition"),
            "out_of_order": self.count("out_of_order"),
            "accidents": len(self.accidents),
            "recovery_s_p50": round(statistics.median(recoveries), 2) if recoveries else None,
            "recovery_s_max": round(recoveries[-1], 2) if recoveries else None,
            "standstill_s_max": round(max(stood), 2) if stood else None,
            **({"pauses_s": _pauses(self.pauses_s)} if self.pauses_s else {}),
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
    fault: Fault = kill_by_plan,
) -> Result:
    """Expose the pipeline to a fault on a broker without topics and check what came out.

    After the fault one more incarnation reads to the end of its input. Redis is compared then,
    before anything new can replace what is stale in it, and again after some more input.

    Parameters
    ----------
    folder
        Existing and empty; keeps the output of every incarnation.
    say
        Takes progress in words.
    fault
        Starts, disturbs and ends pipelines under load.
    """
    config = broker.client_config()
    create_topics(config, plan_.partitions, broker.replication)
    group = f"proof-{plan_.seed}-{os.getpid()}"
    store = folder / "models"
    publish_models(store)
    rhythm = Rhythm.averaging(plan_.rate_hz)
    handed_over: Counter[Content] = Counter()
    inputs = noted(messages(plan_.seed, plan_.partitions), handed_over)
    feeder = Feeder(broker.producer_config(), inputs, rhythm, plan_.feeder)
    progress = Progress(config, group, plan_.partitions)
    with Valkey(folder / "valkey") as valkey:
        environment = settings_of(broker, valkey, store, group, plan_.partitions)
        incarnations = Incarnations({**environment, **_own_settings(plan_)}, folder, progress, say)
        cluster = Cluster(plan_, broker, valkey, folder, store, feeder, progress, incarnations, say)
        feeder.write(plan_.before)
        feeder.start()
        try:
            fault(cluster)
        except (AssertionError, TimeoutError) as broken:
            # What came out is judged all the same.
            incarnations.accidents.append(f"the fault did not go as planned: {broken}")
        finally:
            feeder.stop()
            incarnations.end_all()
        before, is_behind = progress.total(), not progress.reached(_ends(cluster))
        defects: list[Defect] = []
        with incarnations.start(**_DEFAULTS) as last:
            if is_behind:
                incarnations.watch_until_commit(last, before)
            if _caught_up(cluster, last):
                defects += check_redis(
                    valkey.url, _predictions(cluster), max_symbols=plan_.max_symbols
                )
                say("compared Redis with the topic")
                feeder.write(max(_AFTER_FAULT, plan_.ticks - feeder.total))
                feeder.flush()
                _caught_up(cluster, last)
            feeder.close()
            # Repeats lie behind what was counted.
            _caught_up(cluster, last)
            progress.close()
            raw = read_topic(config, topics.TICKS_RAW, at_least=sum(_ends(cluster).values()))
            expected = expect(raw, max_symbols=plan_.max_symbols)
            outputs = read_outputs(broker, expected)
            defects += check_redis(valkey.url, outputs.predictions, max_symbols=plan_.max_symbols)
            if not last.running:
                incarnations.note_end(last)
    result = Result(
        plan_,
        inputs=len(raw),
        kills=incarnations.kills,
        fenced=incarnations.fenced,
        recoveries_s=incarnations.recoveries_s,
        standstills_s=incarnations.standstills_s,
        pauses_s=incarnations.pauses_s,
        defects=defects,
        accidents=incarnations.accidents,
        repeats=repeats(raw, handed_over),
        overtaken=overtaken(raw, expected.duplicates),
    )
    if not_there := lost(raw, handed_over):
        examples = [(partition, value[:200]) for partition, value in not_there[:5]]
        complaint = (
            f"{len(not_there)} messages of the feeder are not in the log; its client called"
            f" {feeder.delivered} of {feeder.total} delivered; with their partitions: {examples}"
        )
        (say if plan_.broker_loses_input else result.accidents.append)(complaint)
    result.defects += judge(expected, outputs, store, plan_)
    if plan_.uninterrupted:
        reference = uninterrupted(raw, expected, plan_, folder)
        result.defects += check_same_bytes(outputs.features, reference.features)
        say("compared with an uninterrupted run on the same input")
    return result


def _pauses(pauses_s: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return how many pauses there were by what happened, their median and the longest."""
    return {
        what: {"n": len(each), "p50": round(statistics.median(each), 2), "max": round(max(each), 2)}
        for what, each in sorted(pauses_s.items())
    }


def _caught_up(cluster: Cluster, last: Process) -> bool:
    """Wait until all input is committed; where it does not come to that, note an accident."""
    try:
        cluster.progress.wait_for(_ends(cluster), CATCH_UP_LIMIT_S, lambda: last.running)
    except TimeoutError as short:
        cluster.say(str(short))
        cluster.incarnations.note_end(last)
        return False
    cluster.say(f"caught up with {cluster.feeder.total} inputs")
    return True


def _ends(cluster: Cluster) -> dict[int, int]:
    """Return the end of each partition of the input, once everything is delivered."""
    partitions = cluster.plan.partitions
    written = end_offsets(cluster.broker.client_config(), topics.TICKS_RAW, partitions)
    ends = {part: end for part, (_, end) in written.items()}
    if cluster.broker.keeps_guarantees:
        return ends
    # The embedded broker tells ends that are too low.
    return {part: max(end, cluster.feeder.counts[part]) for part, end in ends.items()}


def _own_settings(plan_: Plan) -> dict[str, str]:
    return {"VOLTICK_MAX_SYMBOLS": str(plan_.max_symbols), **plan_.settings}


def _predictions(cluster: Cluster) -> list[Message]:
    config = cluster.broker.client_config()
    raw = read_topic(config, topics.TICKS_RAW, at_least=sum(_ends(cluster).values()))
    expected = expect(raw, max_symbols=cluster.plan.max_symbols)
    return read_topic(config, topics.PREDICTIONS, at_least=len(expected.rows))


def judge(expected: Expected, outputs: Outputs, store: Path, plan_: Plan) -> list[Defect]:
    """Return every defect that the oracle and the store's models tell."""
    return [
        *check(expected, outputs),
        *check_scores(outputs.predictions, outputs.features, Store(store)),
        *check_values(expected, outputs.features, plan_.seed, plan_.oracle_rows),
    ]


def read_outputs(broker: Broker, expected: Expected | None = None) -> Outputs:
    """Read the three output topics to their ends; wait for as many as are expected."""
    config = broker.client_config()
    rows, letters = (len(expected.rows), len(expected.dead_letters)) if expected else (0, 0)
    return Outputs(
        read_topic(config, topics.PREDICTIONS, at_least=rows),
        read_topic(config, topics.TICKS_FEATURES, at_least=rows),
        read_topic(config, topics.DEAD_LETTERS, at_least=letters),
    )


def uninterrupted(raw: list[Message], expected: Expected, plan_: Plan, folder: Path) -> Outputs:
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
        create_topics(config, plan_.partitions)
        fill(
            config,
            (Outgoing(each.partition, each.key, each.value, each.timestamp_ms) for each in ordered),
        )
        environment = settings_of(
            broker, valkey, folder / "models", "uninterrupted", plan_.partitions
        )
        alone = {"VOLTICK_ASSIGNMENT": "all", "VOLTICK_STANDBY": "false"}
        environment |= {**_own_settings(plan_), **alone}
        progress = Progress(config, "uninterrupted", plan_.partitions)
        incarnations = Incarnations(environment, servers, progress, lambda _: None)
        with incarnations.start() as incarnation:
            incarnations.watch_until_commit(incarnation, 0)
            progress.wait_for(ends, CATCH_UP_LIMIT_S, lambda: incarnation.running)
            progress.close()
            return read_outputs(broker, expected)
