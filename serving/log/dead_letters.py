"""The newest dead letters, and how many of each reason."""

from collections import Counter

import msgspec

from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.decoding import decode_or_none
from serving.http.system_views import DeadLettersResponse, DeadLetterView
from serving.log.reader import LogReader

LOOK_AT = 500
"""Messages of each partition."""

_LIMIT_S = 1.0
_SHOWN_BYTES = 400
_decode = msgspec.json.Decoder(DeadLetter).decode


def newest(reader: LogReader, limit: int) -> DeadLettersResponse:
    """Return up to ``limit`` dead letters, newest first."""
    found: list[tuple[int, DeadLetter]] = []
    total = 0
    partitions = range(reader.partitions().get(topics.DEAD_LETTERS, 0))
    places = [(topics.DEAD_LETTERS, partition) for partition in partitions]
    tails = reader.tails(places, max(limit, LOOK_AT), _LIMIT_S)
    for tail in tails.values():
        total += tail.end - tail.first
        for record in tail.records:
            letter = decode_or_none(_decode, record.value)
            if letter is not None:
                found.append((record.at_ms, letter))
    found.sort(key=lambda each: each[0], reverse=True)
    counts = Counter(letter.reason.value for _at_ms, letter in found)
    return DeadLettersResponse(
        total=max(total, len(found)),
        counted=len(found),
        by_reason=dict(counts.most_common()),
        letters=[_view(at_ms, letter) for at_ms, letter in found[:limit]],
    )


def _view(at_ms: int, letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        at_ms=at_ms,
        reason=letter.reason,
        detail=letter.detail,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        venue=letter.venue,
        payload=letter.payload[:_SHOWN_BYTES].decode("utf-8", errors="replace"),
        size=len(letter.payload),
    )
