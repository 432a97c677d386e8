"""What counts of a partition's files. Decides; reads and writes nothing.

Every start of a writer is an epoch. The state says which offsets each epoch has written: a file
counts if its run lies within the span of the epoch that its name gives. A run that was cut short,
or that an earlier owner still writes although it was replaced, lies outside, whenever it appears.
"""

from collections.abc import Sequence

import msgspec

from flows.connectors.parquet.layout import RunName

MOST_SPANS = 1_000
"""Epochs that a state tells apart; of older ones every file counts: others are long removed."""


class Span(msgspec.Struct, frozen=True):
    """What one epoch has written.

    Attributes
    ----------
    log_id
        Tells the log's offsets from those of an earlier topic of the same name.
    first, end
        Offsets in [first, end) are in the archive.
    """

    epoch: int
    log_id: str
    first: int
    end: int


class State(msgspec.Struct, frozen=True):
    """What a state file holds.

    Attributes
    ----------
    next_offset
        All messages before it that the log held are in the archive.
    log_id
        Kafka's id of the topic, or one that was made up where the broker gives none.
    spans
        Oldest first; the last is the present epoch's.
    forgotten_before
        Of an earlier epoch than this the span is forgotten, and each of its files counts.
    """

    next_offset: int
    log_id: str
    spans: tuple[Span, ...] = ()
    forgotten_before: int = 0

    @property
    def epoch(self) -> int:
        """The present writer's; 0 where there was none."""
        return self.spans[-1].epoch if self.spans else 0

    def span_of(self, run: RunName) -> Span | None:
        """Return the span that a run of offsets belongs to; None where the run does not count."""
        for span in self.spans:
            if span.epoch == run.epoch:
                within = span.first <= run.first and run.following <= span.end
                # Of merged files the name gives the last epoch alone.
                return span if within or (run.merged and run.following <= span.end) else None
        if run.epoch < self.forgotten_before:
            return Span(run.epoch, self.spans[0].log_id, run.first, run.following)
        return None


class Writing(msgspec.Struct, frozen=True):
    """The files of a run of offsets that is being written."""

    files: list[str]


def next_epoch(known: State | None, start: int, log_id: str) -> State:
    """Return the state with which a writer takes a partition over.

    Parameters
    ----------
    start
        First offset that it will write.
    """
    earlier: Sequence[Span] = () if known is None else known.spans
    epoch = 1 if known is None else known.epoch + 1
    forgotten_before = 0 if known is None else known.forgotten_before
    filled = [span for span in earlier if span.first < span.end]
    kept = filled[-MOST_SPANS + 1 :]
    if len(kept) < len(filled):
        forgotten_before = kept[0].epoch
    return State(start, log_id, (*kept, Span(epoch, log_id, start, start)), forgotten_before)


def advanced(state: State, following: int) -> State:
    """Return the state once all offsets before ``following`` are in the archive."""
    last = state.spans[-1]
    grown = Span(last.epoch, last.log_id, last.first, following)
    spans = (*state.spans[:-1], grown)
    return State(following, state.log_id, spans, state.forgotten_before)
