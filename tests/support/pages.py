"""What the live page is given to show."""

from typing import Any

import msgspec

from schemas.predictions import TargetScore
from tests.support.api import prediction, write

SPIKE = "volatility_spike"


def scored(database: Any, symbol: str, score: float, offset: int, **fields: Any) -> None:
    """Write a prediction of one symbol, as the pipeline does."""
    own = TargetScore(score=score, decision=score > 0.5, model="m", version="v", variant="tiny")
    own = msgspec.structs.replace(own, **fields.pop("own", {}))
    write(database, prediction(symbol, offset=offset, scores={SPIKE: own}, **fields))
