"""The API keeps its own OpenAPI document: Schemathesis, where it is installed, finds no breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.scoring.registry import ModelStore
from tests.support.api import api, prediction, write
from tests.support.models import RETURN, publish_tiny


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(tmp_path, valkey, database, embedded_broker):
    beside = str(Path(sys.executable).parent)
    command = shutil.which("schemathesis", path=beside) or shutil.which("schemathesis")
    if command is None:
        pytest.skip("schemathesis is not installed: it comes with the dev extra")
    store = ModelStore(tmp_path / "models")
    for target, score in (("volatility_spike", 0.2), ("forward_return", 0.001)):
        spec = {"target": RETURN} if target == "forward_return" else {}
        store.move(target, champion=publish_tiny(store, score, **spec), by="test")
    write(database, prediction())
    with api(
        tmp_path,
        valkey.url,
        api_token="open-sesame",  # noqa: S106
        kafka_bootstrap_servers=embedded_broker.client_config()["bootstrap.servers"],
        stale_after_s=600,
    ) as address:
        # The event stream never ends, so it cannot be waited for.
        finished = subprocess.run(
            [
                command,
                "run",
                f"{address}/openapi.json",
                "--checks=all",
                "--exclude-path=/stream",
                "--max-examples=20",
                "--header=Authorization: Bearer open-sesame",
                "--seed=7",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=240,
        )
    assert finished.returncode == 0, finished.stdout[-9000:]
