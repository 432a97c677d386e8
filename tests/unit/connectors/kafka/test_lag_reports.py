"""Lags of several readers of one partition, of which the older may end last."""

from flows.connectors.kafka.lag_reports import LagReports


def test_an_older_readers_end_removes_nothing_of_the_younger_ones():
    told: list[tuple[int, int | None]] = []
    reports = LagReports(lambda partition, lag: told.append((partition, lag)))
    older = reports.of_reader(3)
    older(3, 7)
    younger = reports.of_reader(3)
    younger(3, 5)
    older(3, None)
    assert told == [(3, 7), (3, 5)]
    younger(3, None)
    assert told[-1] == (3, None)


def test_readers_of_other_partitions_are_heard_beside_each_other():
    told: list[tuple[int, int | None]] = []
    reports = LagReports(lambda partition, lag: told.append((partition, lag)))
    one, other = reports.of_reader(0), reports.of_reader(1)
    one(0, 1)
    other(1, 2)
    one(0, None)
    assert told == [(0, 1), (1, 2), (0, None)]
