"""The summary of a run is counted from its outputs and cannot be talked into a wrong sum."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import VoltickError
from flows.local.summary import DeadLetterLine, FeedCount, PredictionLine, Tally
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import decode_or_none
from schemas.predictions import Prediction, TargetScore


def prediction(
    offset: int, score: float | None = 0.5, symbol: str = "BTC-USD", **changes
) -> PredictionLine:
    whole = Prediction(
        symbol=symbol,
        venue="binance",
        ts_event_ns=1,
        trade_id=None,
        price=1.0,
        mid=1.0,
        feature_set=1,
        ts_scored_ns=2,
        partition=0,
        offset=offset,
        scores={}
        if score is None
        else {
            "volatility_spike": TargetScore(score=score, model="m", version="1", variant="zscore"),
            "forward_return": TargetScore(score=9.0, model="r", version="1", variant="zscore"),
        },
        **{"warm": True, "late": False, "gap": False, **changes},
    )
    return msgspec.json.decode(msgspec.json.encode(whole), type=PredictionLine)


def dead(offset: int, topic: str | None = "ticks.raw") -> DeadLetterLine:
    whole = DeadLetter(
        reason=Reason.NOT_JSON, detail="", payload=b"", topic=topic, partition=0, offset=offset
    )
    return msgspec.json.decode(msgspec.json.encode(whole), type=DeadLetterLine)


def sent(ticks: int, start: int = 0) -> FeedCount:
    return FeedCount(
        frames=ticks + 3,
        tick_frames=ticks,
        control=2,
        dead_frames=1,
        dead_letters=1,
        reasons=Counter({Reason.BROKEN_FRAME: 1}),
        ticks=ticks,
        start={0: start},
        end={0: start + ticks},
    )


def test_counts_come_from_flags_lineage_and_the_difference() -> None:
    tally = Tally(sent(6, start=10))
    tally.add_prediction(prediction(9))  # an earlier run's
    tally.add_prediction(prediction(10, 0.1, warm=False, restart=True))
    tally.add_prediction(prediction(11, 0.2, late=True))
    tally.add_prediction(prediction(12, 0.2, gap=True, restart=True))
    tally.add_prediction(prediction(13, 0.4, restart=True, symbol="ETH-USD"))
    tally.add_prediction(prediction(16))  # a later run's
    tally.add_dead_letter(dead(14), "ticks.raw")
    tally.add_dead_letter(dead(9), "ticks.raw")
    tally.add_dead_letter(dead(14, None), "ticks.raw")
    assert tally.summary(1.23456) == {
        "frames": 9,
        "tick_frames": 6,
        "control": 2,
        "dead_frames": 1,
        "ticks": 6,
        "dead_letters": 2,
        "dead_letters_by_reason": {"broken_frame": 1, "not_json": 1},
        "late": 1,
        "duplicates": 1,
        "gaps": 1,
        "restarts": 1,
        "predictions": 4,
        "seconds": 1.235,
        "symbols": {
            "BTC-USD": {
                "predictions": 3,
                "warm": 2,
                "score_min": 0.1,
                "score_median": 0.2,
                "score_max": 0.2,
                "distinct_scores": 2,
            },
            "ETH-USD": {
                "predictions": 1,
                "warm": 1,
                "score_min": 0.4,
                "score_median": 0.4,
                "score_max": 0.4,
                "distinct_scores": 1,
            },
        },
    }


@given(st.lists(st.sampled_from(["prediction", "duplicate", "dead"])))
def test_what_goes_in_comes_out_somewhere(fates: list[str]) -> None:
    tally = Tally(sent(len(fates)))
    for offset, fate in enumerate(fates):
        if fate == "prediction":
            tally.add_prediction(prediction(offset))
        elif fate == "dead":
            tally.add_dead_letter(dead(offset), "ticks.raw")
    summary = tally.summary(0.0)
    assert summary["predictions"] == fates.count("prediction")
    assert summary["duplicates"] == fates.count("duplicate")
    assert summary["dead_letters"] == fates.count("dead") + 1
    assert sum(summary["dead_letters_by_reason"].values()) == summary["dead_letters"]


def test_a_tick_predicted_twice_is_an_error() -> None:
    tally = Tally(sent(3))
    tally.add_prediction(prediction(1))
    tally.add_prediction(prediction(1))
    with pytest.raises(VoltickError, match="twice"):
        tally.summary(0.0)


def test_frames_without_a_single_trade_are_complained_about() -> None:
    assert Tally(sent(1)).complaints() == []
    [complaint] = Tally(sent(0)).complaints()
    assert complaint.startswith("none of 3 frames became a tick: 2 hold no trade, 1 are broken")


def test_missing_and_constant_scores_are_complained_about() -> None:
    tally = Tally(sent(6))
    for offset in range(3):
        tally.add_prediction(prediction(offset, 0.5))
    tally.add_prediction(prediction(3, None, "ETH-USD", warm=False))
    tally.add_prediction(prediction(4, float("nan"), "ETH-USD", warm=False))
    assert tally.complaints() == [
        "all 3 warm scores of BTC-USD are the same",
        "2 predictions of ETH-USD have no volatility_spike score",
    ]
    assert tally.summary(0.0)["symbols"]["ETH-USD"]["score_min"] is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"symbol":"A","warm":true,"late":false,"gap":false,"partition":0,"scores":{},'
        b'"offset":9223372036854775808}',
    ],
    ids=["tombstone", "not-utf8", "other-fields", "nested", "offset-beyond-64-bits"],
)
def test_foreign_messages_are_no_predictions(value: bytes | None) -> None:
    assert decode_or_none(msgspec.json.Decoder(PredictionLine).decode, value) is None
