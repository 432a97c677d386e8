"""Sources of ticks, by name.

``FILE.frames.ndjson[.gz]`` a recording, ``FILE.parquet`` ticks, ``FOLDER`` any number of both, or
an archive, of which ``ticks.raw`` is read, ``s3://BUCKET/PREFIX`` an archive in a bucket,
``kafka:ticks.raw`` a topic, ``simulate`` or ``simulate:2h`` a made-up market.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from flows.connectors.kafka.reader import read_topic
from flows.errors import TrainingError
from flows.feeds.recordings import in_runs
from flows.feeds.simulator.market import simulate_history
from flows.numeric.time import NS_PER_US
from flows.settings import Settings
from schemas.feeds import REPLAY_PREFIX, FeedName, split_feeds
from schemas.models import Provenance
from training.data.captures import read_capture
from training.data.decoding import LogDecoder
from training.data.files import PARQUET, data_files
from training.data.merging import once_each
from training.data.ticklog import TickLog, between

KAFKA = "kafka:"
RECORDING = ".frames.ndjson"
SIMULATE = FeedName.SIMULATE.value
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 3_650 * 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_sources(
    names: Sequence[str],
    settings: Settings,
    *,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> list[TickLog]:
    """Read all ticks of some sources, each log in its own order.

    Parameters
    ----------
    names
        As on the command line; commas separate several.
    settings
        Brokers for ``kafka:``, seed, rate and symbols for ``simulate``.
    from_ns, to_ns
        If set, only ticks with an event time in [from_ns, to_ns); of a topic, those written to it
        in that time, for a replayed recording carries old event times.

    Raises
    ------
    CaptureError, BrokerError, TrainingError
        A source cannot be read, or holds no tick.
    """
    logs: list[TickLog] = []
    for name in (part for one in names for part in _parts(one)):
        if name.startswith(KAFKA):
            logs.extend(read_kafka(name.removeprefix(KAFKA), settings, from_ns, to_ns))
        else:
            logs.extend(between(log, from_ns, to_ns) for log in _read(name, settings))
    if not any(len(log) for log in logs):
        msg = f"too few ticks: {', '.join(names)} holds none in the asked time"
        raise TrainingError(msg)
    found = once_each([log for log in logs if len(log)])
    return [replace(log, max_symbols=settings.max_symbols) for log in found]


def _parts(names: str) -> list[str]:
    """Return the sources between commas, refusing none at all and places that are not read."""
    parts = [part for part in names.split(",") if part.strip()]
    if not parts:
        msg = f"--from {names!r} names no source"
        raise TrainingError(msg)
    for part in parts:
        found = re.match(r"([A-Za-z][\w+.-]+)://", part)
        if found is not None and found[1] != "s3":
            msg = f"{part} is an address; of those only s3://BUCKET/PREFIX is read: download it"
            raise TrainingError(msg)
    return parts


def _read(name: str, settings: Settings) -> list[TickLog]:
    if name == SIMULATE or name.startswith(f"{SIMULATE}:"):
        duration = name.removeprefix(SIMULATE).removeprefix(":") or "2h"
        end_ns = time.time_ns() if settings.live_from_ns is None else settings.live_from_ns
        return [read_simulation(parse_duration(duration), settings, end_ns)]
    # Here, not above: pyarrow and pandas take a third of a second to import.
    from flows.connectors.parquet.places import local_copy
    from training.data.parquet import read_parquet
    from training.data.tick_archive import is_archive, read_archive

    path = local_copy(name)
    if is_archive(path):
        return read_archive(path, origin_of(settings.feed), settings.allowed)
    if path.suffix in PARQUET:
        return read_parquet(path)
    if not path.is_dir():
        return [read_capture(path)]
    found = data_files(path, (*PARQUET, RECORDING), "ticks")
    recordings = [file.path for file in found if not file.is_parquet]
    logs = read_parquet(path) if len(recordings) < len(found) else []
    return _read_runs(in_runs(recordings), bool(logs)) + logs


def _read_runs(runs: Sequence[Sequence[Path]], has_others: bool = False) -> list[TickLog]:
    """Read the recordings of a folder; one without a usable tick is left out with a warning.

    Parameters
    ----------
    has_others
        Whether the folder holds other ticks: then no recording needs to hold any.

    Raises
    ------
    TrainingError
        None of them holds a usable tick; it says why of the first.
    """
    logs: list[TickLog] = []
    problems: list[TrainingError] = []
    for files in runs:
        try:
            logs.append(read_capture(files))
        except TrainingError as error:
            problems.append(error)
            structlog.get_logger().warning(
                "a recording is left out", path=str(files[0]), cause=str(error)
            )
    if problems and not logs and not has_others:
        raise problems[0]
    return logs


def read_kafka(
    topic: str, settings: Settings, from_ns: int | None, to_ns: int | None
) -> list[TickLog]:
    """Read a topic to its present end, one log for each partition."""
    topic = topic or "ticks.raw"
    origin = origin_of(settings.feed)
    decoders: dict[int, LogDecoder] = {}
    for raw in read_topic(settings.kafka_config(), topic, _ms(from_ns), _ms(to_ns)):
        if raw.partition not in decoders:
            decoders[raw.partition] = LogDecoder(topic, settings.allowed)
        decoders[raw.partition].add(raw)
    if not any(decoders.values()):
        unusable = sum(each.dead.total() for each in decoders.values())
        what = f"{unusable} messages that are no ticks" if unusable else "none in the asked time"
        msg = f"too few ticks: {topic} holds {what}"
        raise TrainingError(msg)
    return [
        decoder.log(f"kafka:{topic}[{number}]", origin, number)
        for number, decoder in sorted(decoders.items())
        if decoder
    ]


def origin_of(feed: str) -> Provenance:
    """Return where a topic's ticks come from, by the feeds that write it; one replay tells."""
    replayed = any(each.startswith(REPLAY_PREFIX) for each in split_feeds(feed))
    return "recorded" if replayed else "live"


def read_simulation(duration_s: int, settings: Settings, end_ns: int) -> TickLog:
    """Simulate a market's past, decoded by the same checks as real ticks."""
    encode = msgspec.json.Encoder().encode
    decoder = LogDecoder()
    history = simulate_history(
        settings.symbols,
        duration_s=duration_s,
        seed=settings.simulate_seed,
        end_ns=end_ns,
        rate_hz=settings.simulate_rate_hz,
    )
    for ticks in history:
        decoder.add_values([encode(tick) for tick in ticks])
    return decoder.log(f"simulate:{duration_s}s", "simulated")


def parse_duration(text: str) -> int:
    """Return seconds of ``90s``, ``10m``, ``2h`` or ``1d``, at least 1.

    Raises
    ------
    TrainingError
        It reads otherwise, or is longer than ten years.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or float(found[1]) <= 0:
        msg = f"{text!r} is no duration; write 90s, 10m, 2h or 1d"
        raise TrainingError(msg)
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST_S:
        msg = f"{text!r} is too long; the longest duration is {_LONGEST_S // 86_400}d"
        raise TrainingError(msg)
    return max(1, round(seconds))


def parse_time(text: str) -> int:
    """Return nanoseconds since the UNIX epoch of an ISO time; without an offset it is UTC.

    Raises
    ------
    TrainingError
        It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no time; write 2026-01-05T14:30 or 2026-01-05T14:30:00+00:00"
        raise TrainingError(msg) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * NS_PER_US


def _ms(ts_ns: int | None) -> int | None:
    """Return milliseconds; never below 0, since Kafka means by -1 the end of the topic."""
    return None if ts_ns is None else max(0, ts_ns // 1_000_000)
