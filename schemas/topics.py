"""Names of topics and Redis keys, in one place."""

TICKS_RAW = "ticks.raw"
TICKS_FEATURES = "ticks.features"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
CANDLES = "candles"
DEAD_LETTERS = "dead.letters"
REDRIVEN = "dead.letters.redriven"

ALL = (TICKS_RAW, TICKS_FEATURES, PREDICTIONS, OUTCOMES, CANDLES, DEAD_LETTERS)

LATEST_KEY_PREFIX = "voltick:latest:"
HISTORY_KEY_PREFIX = "voltick:history:"
SYMBOLS_KEY = "voltick:symbols"
QUALITY_KEY_PREFIX = "voltick:quality:"
STREAM_CHANNEL = "voltick:stream"


def latest_key(symbol: str) -> str:
    """Key of the newest prediction of a symbol: a hash with ``ts_scored_ns`` and ``message``."""
    return f"{LATEST_KEY_PREFIX}{symbol}"


def history_key(symbol: str) -> str:
    """Key of the capped stream of a symbol's sampled predictions."""
    return f"{HISTORY_KEY_PREFIX}{symbol}"


def quality_key(target: str) -> str:
    """Key of the capped stream of a target's live quality."""
    return f"{QUALITY_KEY_PREFIX}{target}"
