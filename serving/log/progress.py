"""How far the pipeline is and how long ticks take, from the newest messages of its topics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from flows.numeric.time import NS_PER_MS
from schemas import topics
from schemas.decoding import decode_or_none
from serving.http.system_views import PartitionState, StageLatency
from serving.log.reader import Found, LogReader

LOOK_AT = 400
"""Messages of each topic and partition."""

RECENT_S = 10.0
_LIMIT_S = 0.5
_PARTITION_S = 0.05
"""How long all partitions of a topic may take, and how much longer for each."""


class TickTimes(msgspec.Struct, gc=False):
    """The fields of a tick that its way is measured by."""

    ts_event_ns: int
    ts_recv_ns: int | None = None
    gap: bool = False


class ScoreTimes(msgspec.Struct, gc=False):
    """The fields of a prediction that its way is measured by."""

    offset: int
    ts_scored_ns: int


@dataclass(slots=True)
class Sample:
    """The newest messages of one partition.

    Attributes
    ----------
    end
        Offset behind the newest tick.
    ticks
        By offset, the tick's times and its Kafka timestamp in milliseconds.
    scores
        By the tick's offset, when it was scored, nanoseconds, and the prediction's Kafka timestamp.
    whole
        False where the newest predictions were not reached: how far the flow is, is not known then.
    """

    partition: int
    end: int
    ticks: dict[int, tuple[TickTimes, int]] = field(default_factory=dict)
    scores: dict[int, tuple[int, int]] = field(default_factory=dict)
    whole: bool = True


_tick = msgspec.json.Decoder(TickTimes).decode
_score = msgspec.json.Decoder(ScoreTimes).decode


def look(reader: LogReader) -> list[Sample]:
    """Read the newest messages of every partition."""
    known = reader.partitions()
    samples = {
        partition: Sample(partition, max(found.end, found.next_offset), _ticks(found))
        for partition, found in _newest(reader, topics.TICKS_RAW, known).items()
    }
    # The scores later than the ticks, so that none of these seems to be without its own.
    for partition, found in _newest(reader, topics.PREDICTIONS, known).items():
        if partition in samples:
            samples[partition].whole = found.whole
            samples[partition].scores = _scores(found)
    return list(samples.values())


def _newest(reader: LogReader, topic: str, known: Mapping[str, int]) -> dict[int, Found]:
    places = [(topic, partition) for partition in range(known.get(topic, 0))]
    limit_s = _LIMIT_S + _PARTITION_S * len(places)
    found = reader.tails(places, LOOK_AT, limit_s)
    return {partition: each for (_topic, partition), each in found.items()}


def _ticks(found: Found) -> dict[int, tuple[TickTimes, int]]:
    decoded = ((each, decode_or_none(_tick, each.value)) for each in found.records)
    return {each.offset: (tick, each.at_ms) for each, tick in decoded if tick is not None}


def _scores(found: Found) -> dict[int, tuple[int, int]]:
    decoded = ((each, decode_or_none(_score, each.value)) for each in found.records)
    return {
        score.offset: (score.ts_scored_ns, each.at_ms)
        for each, score in decoded
        if score is not None
    }


def partition_state(sample: Sample, now_ms: float, owner: str | None) -> PartitionState:
    """Return how far one partition is."""
    begin_ms = now_ms - RECENT_S * 1000
    times = [at_ms for _tick, at_ms in sample.ticks.values()]
    recent = [at_ms for at_ms in times if at_ms >= begin_ms]
    # A sample that does not reach back far enough covers less time.
    span_s = RECENT_S if len(recent) < len(times) or not recent else (now_ms - min(recent)) / 1000
    return PartitionState(
        partition=sample.partition,
        ticks=sample.end,
        lag=max(sample.end - 1 - max(sample.scores), 0) if sample.scores and sample.whole else None,
        ticks_per_s=len(recent) / max(span_s, 0.1),
        owner=owner,
    )


def latencies(samples: Sequence[Sample], live_from_ns: int | None = None) -> list[StageLatency]:
    """Return percentiles of each step of a tick's way, over the ticks whose score is known.

    Parameters
    ----------
    live_from_ns
        Ticks with an earlier event time were sent as history, and took whatever that took; None
        where there is no history.
    """
    first_ns = 0 if live_from_ns is None else live_from_ns
    steps: Mapping[str, list[float]] = {
        "venue to receiver": [],
        "receiver to log": [],
        "log to score": [],
        "score to log": [],
        "venue to score": [],
    }
    for sample in samples:
        for offset, (tick, logged_ms) in sample.ticks.items():
            if tick.ts_event_ns < first_ns:
                continue
            if tick.ts_recv_ns is not None:
                steps["venue to receiver"].append((tick.ts_recv_ns - tick.ts_event_ns) / NS_PER_MS)
                steps["receiver to log"].append(logged_ms - tick.ts_recv_ns / NS_PER_MS)
            if offset not in sample.scores:
                continue
            scored_ns, written_ms = sample.scores[offset]
            steps["log to score"].append(scored_ns / NS_PER_MS - logged_ms)
            steps["score to log"].append(written_ms - scored_ns / NS_PER_MS)
            steps["venue to score"].append((scored_ns - tick.ts_event_ns) / NS_PER_MS)
    return [_percentiles(stage, found) for stage, found in steps.items() if found]


def _percentiles(stage: str, milliseconds: Sequence[float]) -> StageLatency:
    p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99)).tolist()
    return StageLatency(stage=stage, count=len(milliseconds), p50_ms=p50, p90_ms=p90, p99_ms=p99)
