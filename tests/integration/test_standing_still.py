"""A flow that stands still while there is input ends by itself, with one line that says so."""

from pathlib import Path

import pytest

from flows.host.lossy_output import SAID_BY
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import create_topics, fill
from tests.support.pipeline import PARTITIONS, settings, tick, wait_committed
from tests.support.polling import pause
from tests.support.processes import flow

LIMIT_S = 8.0
TRANSACTION_S = 6.0

# The product's own flow and watchdog, which looks more often and is less patient than in earnest.
# Once the file is there, the flow's next batch hangs.
HANGING = f"""
import threading
from pathlib import Path

from flows import pipeline
from flows.runtime import exactly_once
from flows.connectors.kafka import watchdog

watchdog.LOOK_S = 0.2
exactly_once.STALL_BEYOND_TRANSACTION_S = {LIMIT_S - TRANSACTION_S}

class Hanging(pipeline.FeatureStep):
    def __call__(self, item):
        if Path("hang").exists():
            threading.Event().wait()
        return super().__call__(item)

pipeline.FeatureStep = Hanging
flow = pipeline.flow
"""


@pytest.mark.slow
def test_a_flow_that_hangs_is_ended_and_an_idle_one_is_not(
    embedded_broker: EmbeddedBroker, group: str, tmp_path: Path
) -> None:
    config = embedded_broker.client_config()
    create_topics(config, PARTITIONS)
    (tmp_path / "hanging.py").write_text(HANGING)
    more = {"VOLTICK_TRANSACTION_TIMEOUT_MS": f"{TRANSACTION_S * 1000:.0f}"}
    environment = settings(embedded_broker, group, tmp_path, **more)
    with flow("hanging", tmp_path, environment) as process:
        process.wait_for_log("pipeline ready", 90.0)
        fill(config, [tick(number) for number in range(30)])
        wait_committed(embedded_broker, group, 30)
        pause(1.5 * LIMIT_S)
        assert process.running, process.tail()

        (tmp_path / "hang").touch()
        fill(config, [tick(number) for number in range(30, 60)])
        assert process.wait_exit(60) == 2, process.tail()
    [line] = [each for each in process.stderr.splitlines() if each.startswith(SAID_BY)]
    assert line.startswith(f"{SAID_BY}the flow makes no progress: partition ")
    assert " has stood still for " in line
    assert line.endswith("; start it again")
    for alarm in ("Traceback", "panicked", "%3|"):
        assert alarm not in process.stderr
