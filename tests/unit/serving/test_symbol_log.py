"""What is read of a symbol where the broker answers some requests and others not."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from serving.http.problems import LogUnavailableError
from serving.log.reader import Found, Part, Place
from serving.series import store
from serving.series.store import Asked, SeriesStore
from serving.series.symbol_log import TOPICS, SymbolLog
from tests.support.api import prediction


class Stumbling:
    """A reader of empty topics; the broker does not answer its second request for an end."""

    def __init__(self) -> None:
        self.asked = 0
        self.read_topics: set[str] = set()

    def partitions(self) -> dict[str, int]:
        return dict.fromkeys(TOPICS, 1)

    def bounds(self, _place: Place) -> tuple[int, int]:
        self.asked += 1
        if self.asked == 2:
            cause = "no answer"
            raise LogUnavailableError(cause)
        return 0, 0

    def all_bounds(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        return {place: self.bounds(place) for place in places}

    def read(self, parts: Sequence[Part], _limit_s: float) -> dict[Place, Found]:
        self.read_topics |= {part.place[0] for part in parts}
        return {part.place: Found(part.start, whole=True) for part in parts}

    def close(self) -> None:
        pass


def test_a_request_without_an_answer_leaves_out_no_topic_for_good() -> None:
    reader = Stumbling()
    log = SymbolLog("BTC-USD", 0, reader)  # type: ignore[arg-type]
    with pytest.raises(LogUnavailableError):
        log.advance(0.1)
    log.advance(0.1)
    assert reader.read_topics == set(TOPICS)


class Silent(Stumbling):
    """A reader whose broker never answers."""

    asked_of_all = 0

    def __init__(self, _config: object) -> None:
        super().__init__()

    def partitions(self) -> dict[str, int]:
        Silent.asked_of_all += 1
        cause = "no answer"
        raise LogUnavailableError(cause)


class Scores:
    """Each symbol's latest score and history."""

    async def latest(self, symbol: str) -> Any:
        return prediction(symbol)

    async def history(self, _symbol: str, _limit: int) -> list[Any]:
        return []


def test_charts_that_waited_for_a_silent_broker_come_from_redis_with_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "LogReader", Silent)
    monkeypatch.setattr(Silent, "asked_of_all", 0)
    asked = Asked("volatility_spike", 60, 1)

    async def look() -> list[Any]:
        series = SeriesStore({}, Scores(), Scores(), lambda: 0.0)  # type: ignore[arg-type]
        return await asyncio.gather(*(series.read(f"S{at}-USD", asked) for at in range(8)))

    found = asyncio.run(look())
    assert {each.source for each in found} == {"redis"}
    assert Silent.asked_of_all == 1
