"""The archive flow with a bucket of S3: each message once under kills, merged and read back."""

import os

import pytest

from flows.settings import load_settings
from schemas import topics
from tests.support import pipeline
from tests.support.archive import archived_until, compare
from tests.support.kafka.tools import create_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow, run
from tests.support.s3 import BUCKET, s3_server
from training.data.sources import read_sources

PLACE = f"s3://{BUCKET}/market/archive"
COUNT = 3_000


def written(first: int, end: int) -> list:
    return [pipeline.tick(number) for number in range(first, end)]


@pytest.mark.timeout(240)
def test_each_tick_is_in_the_bucket_once_after_kills_and_comes_back(
    embedded_broker, group, tmp_path, monkeypatch
) -> None:
    config = embedded_broker.client_config()
    create_topics(config, pipeline.PARTITIONS)
    with s3_server() as server:
        for name, value in {**server.environment, "XDG_CACHE_HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)

        def archive(name: str) -> Process:
            settings = {
                **pipeline.settings(embedded_broker, group, tmp_path),
                "VOLTICK_ARCHIVE": PLACE,
                "VOLTICK_ARCHIVE_TOPICS": topics.TICKS_RAW,
                "VOLTICK_ARCHIVE_INTERVAL_S": "0.1",
                "VOLTICK_ARCHIVE_ROWS": "150",
                "VOLTICK_BATCH_SIZE": "100",
            }
            return flow("flows.archive", tmp_path, settings, name)

        def archived() -> int:
            return sum(archived_until(PLACE, topics.TICKS_RAW, pipeline.PARTITIONS).values())

        for number in range(2):
            with archive(f"killed-{number}") as process:
                fill(config, written(number * 1_000, number * 1_000 + 1_000), topics.TICKS_RAW)
                until(lambda n=number: archived() > 1_000 * n, "some progress", 60.0)
                process.kill()
        fill(config, written(2_000, COUNT), topics.TICKS_RAW)
        with archive("last") as process:
            until(lambda: archived() == COUNT, "all", 60.0)
            process.terminate()
            assert process.wait_exit(30) == 0, process.tail()
        messages = read_topic(config, topics.TICKS_RAW, at_least=COUNT)
        found = compare(PLACE, topics.TICKS_RAW, messages)
        assert found.is_equal, found
        environment = dict(os.environ)
        for _ in range(2):  # the second one removes what the first one has merged
            options = ["merge", "--archive", PLACE, "--rows", "500"]
            done = run(["-m", "flows.store", *options], tmp_path, environment)
            assert done.returncode == 0, done.stderr
        merged = compare(PLACE, topics.TICKS_RAW, messages)
        assert merged.is_equal, merged
        assert merged.files < found.files
        listed = run(
            ["-m", "flows.store", "--archive", PLACE, "--json"], tmp_path, dict(os.environ)
        )
        assert f'"rows":{COUNT}' in listed.stdout, listed.stderr
        logs = read_sources([PLACE], load_settings({}))
        assert sum(len(log) for log in logs) == COUNT
