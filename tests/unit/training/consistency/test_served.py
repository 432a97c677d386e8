"""Columns of what was served against sets and lists."""

import numpy as np

from training.consistency.served import NO_DECISION, ServedOffsets, ServedScores


def test_offsets_are_served_once_and_the_others_are_missing():
    served = ServedOffsets(np.array([2, 5, 9]))
    assert [served.row(offset) for offset in (1, 2, 5, 6, 9, 10)] == [None, 0, 1, None, 2, None]
    assert [served.serve(1), served.serve(1)] == [True, False]
    assert (served.was_served(1), served.was_served(0)) == (True, False)
    assert served.missing() == [2, 9]
    assert (len(served), served.count()) == (3, 1)


def test_scores_come_back_by_partition():
    scores = ServedScores()
    scores.add(0, 3, 0.25, True, champion=True)
    scores.add(1, 4, 0.5, None, champion=False)
    scores.add(0, 7, 0.75, False, champion=True)
    rows, said, decisions, champion = scores.of(0)
    assert (rows.tolist(), said.tolist()) == ([3, 7], [0.25, 0.75])
    assert (decisions.tolist(), champion.tolist()) == ([1, 0], [True, True])
    assert scores.of(1)[2].tolist() == [NO_DECISION]
    assert (len(scores), len(scores.of(2)[0])) == (3, 0)
