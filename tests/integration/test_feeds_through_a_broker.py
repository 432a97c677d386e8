"""Venues that fail, read by ``flows.ingest`` as a process: what lies in the topics is right."""

from collections import Counter
from contextlib import closing

import pytest

from tests.proof.feeds.ingest import Ingests
from tests.proof.feeds.plan import FEEDS, Plan, plan

BURST = 500


def plan_of(feed: str) -> Plan:
    """Return a short course with losses, repeats and disorder, without a long silence."""
    for seed in range(10_000):
        found = plan(feed, seed, BURST)
        is_short = len(found.connections) == 2 and not found.has_silence
        if is_short and {"loss", "repeat", "reorder", "burst", "damage"} <= found.faults:
            return found
    raise AssertionError


@pytest.mark.timeout(240)
def test_all_that_three_venues_sent_whole_is_in_the_topics_once_and_counted(
    broker, tmp_path
) -> None:
    with closing(Ingests(broker, tmp_path)) as ingests:
        outcomes = ingests.run([plan_of(feed) for feed in FEEDS])
    wrong = [defect for each in outcomes if not each.disturbed for defect in each.defects]
    assert wrong == []
    assert all(each.wants.gaps > 1 for each in outcomes)


def test_a_count_that_differs_from_what_lies_there_is_noticed(
    embedded_broker, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("tests.proof.feeds.ingest._counted", lambda _port: Counter())
    with closing(Ingests(embedded_broker, tmp_path)) as ingests:
        [outcome] = ingests.run([plan_of("binance")])
    assert "counts" in {defect.kind for defect in outcome.defects}
