"""Crowding is said at most once a minute, with how many symbols were forgotten."""

from structlog.testing import capture_logs

from flows.monitoring.crowding import PERIOD_S, CrowdingWatch


def test_the_first_is_said_at_once_and_the_rest_once_a_minute():
    now_s = [0.0]
    watch = CrowdingWatch(8, lambda: now_s[0])
    with capture_logs() as said:
        watch.note(2)
        now_s[0] = PERIOD_S - 1
        watch.note(3)
        watch.note(4)
        now_s[0] = PERIOD_S
        watch.note(5)
    assert [line["forgotten"] for line in said] == [2, 12]
    assert "VOLTICK_MAX_SYMBOLS" in said[0]["cure"]
