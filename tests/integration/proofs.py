"""How the integration tests run a proof: small, on a broker of the caller's, judged strictly."""

from pathlib import Path

from tests.proof.checker import first_of_each
from tests.proof.cluster import Broker, Plan, Torment
from tests.proof.run import Verdict, prove


def prove_spotless(broker: Broker, plan: Plan, folder: Path, torment: Torment) -> Verdict:
    """Run a proof and fail on anything missing, twice, different, misplaced or unexpected."""
    said: list[str] = []
    verdict = prove(broker, plan, folder, said.append, torment)
    story = "\n".join(said)
    assert verdict.accidents == [], story
    assert [str(defect) for defect in first_of_each(verdict.defects)] == [], story
    assert verdict.inputs >= plan.ticks
    return verdict
