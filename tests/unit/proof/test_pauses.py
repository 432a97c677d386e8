"""The meter of pauses."""

import pytest

from tests.proof.pauses import PauseMeter
from tests.proof.progress import Progress
from tests.support.polling import until


class _Blind(Progress):
    """Cannot look at anything."""

    def __init__(self) -> None:
        self.asked = 0

    def offsets(self) -> dict[int, int]:
        self.asked += 1
        message = "no answer"
        raise TimeoutError(message)

    def close(self) -> None: ...


def test_figures_of_a_meter_that_could_not_look_are_not_given() -> None:
    blind = _Blind()
    meter = PauseMeter(blind)

    def asked() -> dict[int, float] | None:
        return None if blind.asked == 0 else meter.pauses_s()

    with pytest.raises(TimeoutError, match="no answer"):
        until(lambda: asked() and None, "the failure")
    meter.close()
