"""What the proof of the whole system counts, and when things happen in it."""

import os
import subprocess
import sys

import pytest

from tests.proof.system import verdict
from tests.proof.system.faults import BROKER_AWAY_S, timeline
from tests.proof.system.verdict import Panel
from tests.proof.system.watch import Alert, Use


@pytest.mark.parametrize("minutes", [8, 20])
def test_faults_do_not_overlap_and_leave_time_to_recover(minutes: int) -> None:
    events = timeline(minutes * 60)
    moments = [event.at for event in events]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments)
    assert moments[-1] + 60 <= minutes * 60
    away, back = (event.at for event in events if "broker" in event.what or event.at == moments[4])
    assert back - away == BROKER_AWAY_S


def test_processor_time_of_all_incarnations_counts_from_when_they_were_seen() -> None:
    use = Use()
    use.add(50_000_000, {1: 10.0})
    use.add(90_000_000, {1: 12.0, 2: 3.0})
    use.add(70_000_000, {2: 4.5})
    assert (use.most_mb, use.last_mb, use.cpu_s) == (90, 70, 3.5)


def test_tables_name_what_is_empty_and_what_still_fires() -> None:
    panels = [
        Panel("models", "Drift", 0, may_be_empty=True),
        Panel("models", "Quality", 0, may_be_empty=False),
        Panel("models", "Scores", 4, may_be_empty=False),
    ]
    assert list(verdict.dashboards_table(panels))[2:] == [
        "| models | 3 | 1 | Drift (nothing is due); Quality |"
    ]
    alerts = [Alert("A", "job", 3.2, 9.9), Alert("B", "", 4.0)]
    assert list(verdict.alerts_table(alerts))[2:] == [
        "| A | job | 3 | 10 |",
        "| B | any | 4 | still firing |",
    ]
    assert list(verdict.uses_table({"api": Use(80, 70, 3)}, 60))[2:] == ["| api | 70 | 80 | 5.0 |"]


def test_a_process_that_ended_is_not_alive_even_before_it_is_reaped() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not verdict.is_alive(process.pid)
    process.wait()
    assert not verdict.is_alive(process.pid)
    assert verdict.is_alive(os.getpid())
