"""The running archive flow: each message of each topic once, also under kills."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from flows.connectors.parquet import layout
from flows.host.lossy_output import SAID_BY
from schemas import topics
from tests.proof.archive import MEMBER
from tests.proof.restarts import survive
from tests.support import pipeline
from tests.support.archive import archived_until
from tests.support.archived_log import ArchivedLog, outputs
from tests.support.kafka.tools import Outgoing, create_topics, delete_topics
from tests.support.polling import free_ports, until
from tests.support.processes import Process

PARTITIONS = pipeline.PARTITIONS


@pytest.mark.timeout(240)
def test_each_message_of_each_topic_comes_once_and_the_flow_goes_on(broker, group, tmp_path):
    archive = ArchivedLog(broker, group, tmp_path)
    archive.write_ticks(0, 1_000)
    made = [outputs(number) for number in range(40)]
    for topic in made[0]:
        archive.write(
            topic,
            [
                Outgoing(at % PARTITIONS, b"k", each[topic], 1_000 + at)
                for at, each in enumerate(made)
            ],
        )
    with archive.flow("first") as first:
        archive.wait_done(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    foreign = [b"{", b"\xff", b"[1]", b"", b'{"symbol":"A"}']
    for topic in topics.ARCHIVED:
        archive.write(topic, [Outgoing(0, b"x", value, 5) for value in foreign])
    archive.write_ticks(1_000, 1_500)
    with archive.flow("second", VOLTICK_ARCHIVE_INTERVAL_S="3600") as second:
        second.wait_for_log("archive ready", 60.0)
        second.terminate()  # what was read by then is written
        assert second.wait_exit(30) == 0, second.tail()
    with archive.flow("third") as third:
        archive.wait_done(third)
        third.interrupt()
        assert third.wait_exit(30) == 0, third.tail()
    archive.check()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_nothing_is_missing_or_twice_after_kills(apache_kafka, group, tmp_path):
    # A small sample of `python -m tests.proof.archive`.
    archive = ArchivedLog(apache_kafka, group, tmp_path)
    survive(archive, kills=4, seed=5)
    archive.check()


@pytest.mark.apache
@pytest.mark.timeout(240)
def test_members_of_one_archive_share_it_and_take_over_from_one_that_is_killed(
    apache_kafka, group, tmp_path
):
    archive = ArchivedLog(apache_kafka, group, tmp_path)
    archive.write_some(0, 400)
    ports = dict(zip(("first", "second"), free_ports(2), strict=True))

    def member(name: str) -> Process:
        port = str(ports[name])
        return archive.flow(name, **MEMBER, VOLTICK_ARCHIVE_METRICS_PORT=port)

    def share(name: str) -> dict[str, list[int]]:
        """Return which partitions a member owns, by topic; nothing while it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{ports[name]}/health", timeout=10) as answer:
                found: dict[str, list[int]] = json.load(answer)["assigned"]
        except OSError:
            return {}
        return found

    def shared() -> bool:
        return all(
            sorted(part for name in ports for part in share(name).get(topic, ()))
            == list(range(PARTITIONS))
            and all(share(name).get(topic) for name in ports)
            for topic in topics.ARCHIVED
        )

    with member("first") as first, member("second") as second:
        until(shared, "partitions of every topic for both", 90.0, 0.2)
        archive.write_some(400, 2_000)
        first.kill()
        archive.write_some(2_000, 2_400)
        archive.wait_done(second)
        assert set(map(tuple, share("second").values())) == {tuple(range(PARTITIONS))}
        second.terminate()
        assert second.wait_exit(30) == 0, second.tail()
    archive.check()


@pytest.mark.timeout(120)
def test_a_second_archive_of_the_same_folder_is_refused_by_name(embedded_broker, group, tmp_path):
    archive = ArchivedLog(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_done(first)
        with archive.flow("second") as second:
            second.wait_for_log("archive ready", 60.0)
            archive.write_ticks(100, 200)
            assert second.wait_exit(60) == 2
            assert "another process archives partition" in second.stderr
        archive.wait_done(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    archive.check()


@pytest.mark.timeout(120)
def test_a_log_that_is_behind_the_archive_is_refused_with_the_choice(broker, group, tmp_path):
    archive = ArchivedLog(broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_done(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    before = sorted(path.name for path in Path(archive.root).rglob("*.parquet"))
    config = broker.client_config()
    delete_topics(config)
    create_topics(config, PARTITIONS)
    archive.write_ticks(0, 30)
    with archive.flow("second") as second:
        assert second.wait_exit(60) == 2
        assert "so the topic was recreated" in second.stderr
        assert "VOLTICK_ACCEPT_STATE_LOSS" in second.stderr
    assert sorted(path.name for path in Path(archive.root).rglob("*.parquet")) == before
    with archive.flow("third", VOLTICK_ACCEPT_STATE_LOSS="true") as third:
        until(
            lambda: archived_until(archive.root, topics.TICKS_RAW, PARTITIONS) == {0: 20, 1: 10},
            "the new topic archived",
            60.0,
        )
        third.terminate()
        assert third.wait_exit(30) == 0, third.tail()
    # What was archived of the earlier topic stays beside it.
    assert set(before) < {path.name for path in Path(archive.root).rglob("*.parquet")}


@pytest.mark.timeout(120)
def test_an_archive_that_cannot_be_written_ends_with_one_error(embedded_broker, group, tmp_path):
    archive = ArchivedLog(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 10)
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    with archive.flow("blocked", VOLTICK_ARCHIVE=str(blocked / "archive")) as process:
        assert process.wait_exit(60) == 2
        [line] = [line for line in process.stderr.splitlines() if line.startswith(SAID_BY)]
        assert "cannot be written" in line
        assert "nothing is lost" in line


@pytest.mark.timeout(120)
def test_files_without_their_state_are_not_archived_once_more(embedded_broker, group, tmp_path):
    archive = ArchivedLog(embedded_broker, group, tmp_path)
    archive.write_ticks(0, 100)
    with archive.flow("first") as first:
        archive.wait_done(first)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    (Path(archive.root) / layout.state_file(topics.TICKS_RAW, 0)).unlink()
    with archive.flow("second") as second:
        assert second.wait_exit(60) == 2
        assert "restore it, or archive into another folder" in second.stderr
