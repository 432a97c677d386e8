"""Names of topics and Redis keys, in one place."""

from collections.abc import Mapping
from typing import Any

TICKS_RAW = "ticks.raw"
TICKS_FEATURES = "ticks.features"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
CANDLES = "candles"
DEAD_LETTERS = "dead.letters"
REDRIVEN = "dead.letters.redriven"

ALL = (TICKS_RAW, TICKS_FEATURES, PREDICTIONS, OUTCOMES, CANDLES, DEAD_LETTERS)

ARCHIVED = (TICKS_RAW, TICKS_FEATURES, PREDICTIONS, OUTCOMES, CANDLES)
"""The topics that the archive keeps."""

LATEST_KEY_PREFIX = "voltick:latest:"
HISTORY_KEY_PREFIX = "voltick:history:"
PAST_KEY_PREFIX = "voltick:past:"
DEAD_LETTER_RATE_KEY = "voltick:dead_letter_rate"
SYMBOLS_KEY = "voltick:symbols"
DRIFT_KEY_PREFIX = "voltick:drift:"
QUALITY_KEY_PREFIX = "voltick:quality:"
QUALITY_WINDOWS_KEY_PREFIX = "voltick:quality_windows:"
LOGS_KEY = "voltick:logs"
BACKFILL_KEY_PREFIX = "voltick:backfill:"
STREAM_CHANNEL = "voltick:stream"


def stream_channel(connection: Mapping[str, Any]) -> str:
    """Channel on which new predictions are published; by the database's number.

    Keys are a database's own, but channels are shared by all databases of a Redis: without the
    number the predictions of one deployment would show in another's API.

    Parameters
    ----------
    connection
        The keyword arguments of a client's connections.
    """
    database = int(connection.get("db") or 0)
    return STREAM_CHANNEL if database == 0 else f"{STREAM_CHANNEL}:{database}"


def latest_key(symbol: str) -> str:
    """Key of the newest prediction of a symbol: a hash.

    ``message`` is the prediction, ``ts_scored_ns`` its time, ``log`` the number of the input log in
    ``LOGS_KEY``, and ``at:K`` the newest offset on that log's partition K.
    """
    return f"{LATEST_KEY_PREFIX}{symbol}"


def history_key(symbol: str) -> str:
    """Key of the capped stream of a symbol's sampled predictions."""
    return f"{HISTORY_KEY_PREFIX}{symbol}"


def past_key(symbol: str) -> str:
    """Key of a second stream that holds few of the history's points, and so reaches further back.

    A point has the same id in both.
    """
    return f"{PAST_KEY_PREFIX}{symbol}"


def backfill_key(symbol: str) -> str:
    """Key of the bars that the venue's REST gave for the hour before a symbol's first tick."""
    return f"{BACKFILL_KEY_PREFIX}{symbol}"


def quality_windows_key(target: str) -> str:
    """Key of what each partition adds to a target's live quality: a hash by partition."""
    return f"{QUALITY_WINDOWS_KEY_PREFIX}{target}"


def drift_key(target: str) -> str:
    """Key of the newest report about the drift of a target's models."""
    return f"{DRIFT_KEY_PREFIX}{target}"


def quality_key(target: str) -> str:
    """Key of the capped stream of a target's live quality."""
    return f"{QUALITY_KEY_PREFIX}{target}"
