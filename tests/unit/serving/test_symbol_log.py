"""What is read of a symbol where the broker answers some requests and others not."""

from collections.abc import Sequence

import pytest

from serving.http.problems import LogUnavailableError
from serving.log.reader import Found, Part, Place
from serving.series.symbol_log import TOPICS, SymbolLog


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


def test_a_request_without_an_answer_leaves_out_no_topic_for_good() -> None:
    reader = Stumbling()
    log = SymbolLog("BTC-USD", 0, reader)  # type: ignore[arg-type]
    with pytest.raises(LogUnavailableError):
        log.advance(0.1)
    log.advance(0.1)
    assert reader.read_topics == set(TOPICS)
