"""How the integration tests run a proof: small, on a broker of the caller's, judged strictly."""

from pathlib import Path

from tests.proof.checker import first_of_each
from tests.proof.cluster import Broker, Fault, Plan
from tests.proof.run import Result, prove


def prove_spotless(broker: Broker, plan: Plan, folder: Path, fault: Fault) -> Result:
    """Run a proof and fail on anything missing, twice, different, misplaced or unexpected."""
    said: list[str] = []
    result = prove(broker, plan, folder, said.append, fault)
    found = [*result.accidents, *map(str, first_of_each(result.defects))]
    # Said here: pytest compares values for the reader in test modules alone.
    assert not found, "\n".join([*said, *found])
    assert result.inputs >= plan.ticks
    return result
