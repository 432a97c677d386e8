"""``python -m tests.proof.captures``: recordings through ingest, pipeline and archive, and back.

Every tick of the archive is the one that the recording holds, and the features that training works
out from the archive are those that the pipeline served, bit for bit.
"""

import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from flows.codec.batch import DUPLICATE
from flows.connectors.parquet.places import open_storage
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from flows.settings import load_settings
from schemas import topics
from tests.proof.needs import require_apache
from tests.support.archive import archived_until, compare, rows_of
from tests.support.captures import FRAMES, SUFFIX
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import committed, create_topics, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow
from training.data.build import compute_features
from training.data.sources import read_sources

TOPICS = (topics.TICKS_RAW, topics.TICKS_FEATURES)
PATIENCE_S = 600.0
_FRAMES_AT_ONCE = 4_096

Say = Callable[[str], None]


def round_trip(
    broker: ApacheKafka | EmbeddedBroker,
    recordings: Sequence[Path],
    folder: Path,
    say: Say = lambda _what: None,
) -> dict[str, int]:
    """Send recordings through the flows and compare what came of them; return the counts.

    Raises
    ------
    AssertionError
        A tick or a feature differs, is missing or is there twice.
    """
    group = f"captures-{uuid.uuid4().hex[:8]}"
    place = str(folder / "archive")
    settings = {
        **broker.environment(),
        "VOLTICK_GROUP": group,
        "VOLTICK_PARTITIONS": "1",
        "VOLTICK_MODEL_STORE": str(folder / "models"),
        "VOLTICK_REPLAY_SPEED": "max",
        "VOLTICK_ARCHIVE": place,
        "VOLTICK_ARCHIVE_TOPICS": ",".join(TOPICS),
        "VOLTICK_ARCHIVE_INTERVAL_S": "1",
    }
    config = broker.client_config()
    create_topics(config, 1)
    wanted: list[bytes] = []
    for number, path in enumerate(recordings):
        feed = {**settings, "VOLTICK_FEED": f"replay:{path}"}
        with flow("flows.ingest", folder, feed, f"ingest-{number}") as ingest:
            wanted += messages_of(path)
            assert ingest.wait_exit(PATIENCE_S) == 0, ingest.tail()
        say(f"{path.name}: {len(wanted)} ticks so far")
    ticks = read_topic(config, topics.TICKS_RAW, at_least=len(wanted), deadline_s=PATIENCE_S)
    assert [each.value for each in ticks] == wanted, "ingest wrote other ticks than the recordings"

    def scored() -> bool:
        assert pipeline.running, pipeline.tail()
        found = committed(config, group, topics.TICKS_RAW, 1)
        return found[0].offset > ticks[-1].offset

    with flow("flows.pipeline", folder, settings, "pipeline") as pipeline:
        until(scored, "all ticks scored", PATIENCE_S)
        _end(pipeline)
    say("scored")
    features = read_topic(config, topics.TICKS_FEATURES, deadline_s=PATIENCE_S)

    def archived() -> bool:
        assert archive.running, archive.tail()
        ends = [archived_until(place, topic, 1)[0] for topic in TOPICS]
        return ends[0] > ticks[-1].offset and ends[1] > features[-1].offset

    with flow("flows.archive", folder, settings, "archive") as archive:
        until(archived, "all archived", PATIENCE_S)
        _end(archive)
    say("archived")
    for topic, messages in zip(TOPICS, (ticks, features), strict=True):
        found = compare(place, topic, messages)
        assert found.is_equal, str(found)[:500]
    rows = _compare_features(place)
    return {"recordings": len(recordings), "ticks": len(ticks), "feature_rows": rows}


def _end(process: Process) -> None:
    process.terminate()
    assert process.wait_exit(60) == 0, process.tail()


def messages_of(path: Path) -> Iterator[bytes]:
    """Yield the ticks of a recording as messages of ``ticks.raw``."""
    feed = ReplayFeed(path, speed=None)
    processor = FrameProcessor.of(feed)
    try:
        while not feed.finished:
            yield from _values(processor.process(feed.poll(_FRAMES_AT_ONCE)).ticks)
        yield from _values(processor.finish().ticks)
    finally:
        feed.close()


def _values(ticks: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for _key, value in ticks]


def _compare_features(place: str) -> int:
    """Hold the features that were served against those of the archive's ticks; return the rows."""
    [log] = read_sources([place], load_settings({}))
    rows = compute_features(log.batch)
    is_new = (rows.flags & DUPLICATE) == 0
    served: dict[int, list[float | None]] = {
        row["offset"]: row["values"] for row in rows_of(open_storage(place), topics.TICKS_FEATURES)
    }
    assert sorted(served) == log.batch.offset[is_new].tolist(), "other ticks have features"
    values = np.array([served[offset] for offset in sorted(served)], np.float32)
    recomputed = rows.values[is_new]
    same = (values.view(np.int32) == recomputed.view(np.int32)) | (
        np.isnan(values) & np.isnan(recomputed)
    )
    assert same.all(), f"{(~same).sum()} of {same.size} features differ"
    return len(values)


EXAMPLE = "Example: python -m tests.proof.captures --folder recordings"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    folder: Annotated[Path, typer.Option(help="Of the recordings.")] = FRAMES,
    only: Annotated[str, typer.Option(help="Those whose names hold this.")] = "",
) -> None:
    """Send recordings through ingest, pipeline and archive on Apache Kafka, and compare.

    Ends with one JSON line; exit code 1 where a tick or a feature differs, 2 where nothing can be
    run.
    """
    begin = time.monotonic()
    recordings = sorted(path for path in folder.glob(f"*{SUFFIX}") if only in path.name)
    require_apache()
    if not recordings:
        sys.stderr.write(f"no recording (*{SUFFIX}) in {folder}\n")
        raise typer.Exit(2)

    def say(text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begin:6.1f} s] {text}\n")

    work = Path(tempfile.mkdtemp(prefix="voltick-captures-"))
    (work / "broker").mkdir()
    with ApacheKafka(work / "broker") as broker:
        counts: dict[str, int] = {}
        problem: str | None = None
        try:
            counts = round_trip(broker, recordings, work, say)
        except (AssertionError, TimeoutError) as broken:
            problem = str(broken)
            say(problem)
    seconds = round(time.monotonic() - begin, 1)
    line = {**counts, "seconds": seconds, "problem": problem and problem[:500]}
    sys.stdout.write(json.dumps(line) + "\n")
    raise typer.Exit(1 if problem else 0)


if __name__ == "__main__":
    app()
