"""The oracle stands apart from what it judges."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

TELL = "import sys, {}; print([name for name in sys.modules if name.split('.')[0] == 'flows'])"


@pytest.mark.parametrize(
    "module", ["tests.oracle.expectation", "tests.oracle.features", "tests.proof.values"]
)
def test_importing_it_loads_nothing_of_the_flow(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", TELL.format(module)], cwd=ROOT, capture_output=True, check=True
    )
    assert told.stdout.strip() == b"[]"
