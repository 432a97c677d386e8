"""What ``GET /health`` says of a Redis that answers and is not well all the same."""

import pytest

from serving.scores.condition import describe, memory_warnings

FULL = {"maxmemory": 100, "used_memory": 130, "mem_not_counted_for_evict": 10}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, ()),
        ({"role": "master", "maxmemory": 0, "used_memory": 5}, ()),
        ({**FULL, "maxmemory_policy": "noeviction", "used_memory": 105}, ()),
        ({**FULL, "maxmemory_policy": "noeviction"}, ("120% of its maxmemory", "no new scores")),
        ({**FULL, "maxmemory_policy": "allkeys-lru", "evicted_keys": 0}, ()),
        (
            {**FULL, "maxmemory_policy": "volatile-ttl", "evicted_keys": 7, "used_memory": 106},
            ("96%", "volatile-ttl has removed 7 keys"),
        ),
        ({"maxmemory": 100, "used_memory": 50, "maxmemory_policy": "x", "evicted_keys": 7}, ()),
    ],
    ids=["silent", "no limit", "room", "full", "nothing lost yet", "evicting", "room again"],
)
def test_memory(told, words):
    warnings = memory_warnings(told)
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "answers"),
        ({"role": "master"}, "answers"),
        ({"role": "slave", "master_link_status": "up"}, "answers; it is a replica: the pipeline"),
        ({"role": "slave", "master_link_status": "down"}, "replica, and has lost its primary"),
    ],
    ids=["silent", "primary", "replica", "replica alone"],
)
def test_role(told, words):
    assert words in describe(told)
