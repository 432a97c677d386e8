"""An address that is none is refused before anything is trained."""

import pytest

from flows.errors import TrainingError
from training.retrain import retrain


@pytest.mark.parametrize("address", ["", " "])
def test_an_empty_address_is_refused_before_any_training(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_arguments: object) -> None:
        pytest.fail("it was trained")

    monkeypatch.setattr("training.retrain.run_pipeline", train)
    with pytest.raises(TrainingError, match="--mlflow is empty"):
        retrain(["simulate:2h"], mlflow=address)
