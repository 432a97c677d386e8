"""The interfaces of feeds and parsers, and the frames between them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from flows.feeds.complaints import with_value
from schemas.dead_letters import DeadLetter, Reason
from schemas.ticks import Int64, Tick


class Frame(msgspec.Struct, gc=False, omit_defaults=True):
    """One received message, untouched; also one line of a recording.

    Attributes
    ----------
    ts_recv_ns
        When it arrived here, nanoseconds since the UNIX epoch; None where a recording does not say.
    text
        The message as it was received.
    fresh
        True on the first frame of a new connection after an old one: what came between is lost.
        False also where a recording does not tell connections apart.
    after_loss
        True if frames are known to be missing just before this one: a damaged part of a recording,
        or frames that a full queue did not take.
    """

    ts_recv_ns: Int64 | None
    text: str = msgspec.field(name="frame")
    fresh: bool = False
    after_loss: bool = False


class ParsedFrame(msgspec.Struct, gc=False):
    """The content of one frame.

    Attributes
    ----------
    ticks
        Oldest first.
    dead
        Dead letters of the frame, or of single parts of it.
    reconnected
        The frame is the first of a new connection.
    lost
        Messages of this connection are missing before this frame; their symbols are unknown.
    last_trade
        Symbol and id of its newest trade, from a heartbeat.
    warning
        A complaint of the venue, one sentence for the log.
    complete
        The ticks come from a channel that promises every trade: a skipped id is a loss.
    replayed
        The newest trade from before the subscription, which the venue sends again.
    sent_ns
        The venue's clock when it sent the frame, nanoseconds since the UNIX epoch; None where only
        the ticks have times.
    polled
        The frame is an answer over HTTP: its ticks are older than it.
    """

    ticks: Sequence[Tick] = ()
    dead: Sequence[DeadLetter] = ()
    reconnected: bool = False
    lost: bool = False
    last_trade: tuple[str, int] | None = None
    warning: str | None = None
    complete: bool = False
    replayed: Tick | None = None
    sent_ns: int | None = None
    polled: bool = False


class Parser(Protocol):
    """Turn the frames of one venue into ticks; keep only what joining needs; do no I/O."""

    venue: str

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame; raise nothing, whatever the venue has sent."""
        ...


class Feed(Protocol):
    """A source of frames.

    Attributes
    ----------
    name
        For the log, with what it reads from.
    venue
        One of :class:`schemas.feeds.Venue`: which parser reads the frames.
    simulated
        True if the market is made up.
    live
        True if the feed begins when it is opened: what came before was missed.
    marked
        True if the first frame of each later connection is known as such (``Frame.fresh``).
    loop_number
        How often a repeating recording has started over, as of the newest :meth:`poll`.
    finished
        True once no further frame will come.
    """

    name: str
    venue: str
    simulated: bool
    live: bool
    marked: bool
    loop_number: int
    finished: bool

    def parser(self) -> Parser:
        """Return a new parser for this feed's frames."""
        ...

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the frames at hand, at most ``max_frames``, all of one loop; never block.

        Raises
        ------
        FeedError, CaptureError
            The feed cannot go on.
        """
        ...

    def close(self) -> None:
        """Close files, sockets and threads; may be called twice."""
        ...


def broken(
    venue: str, payload: str | bytes, detail: str, reason: Reason = Reason.BROKEN_FRAME
) -> DeadLetter:
    """Wrap a frame, or a part of one, that cannot be used; its detail tells the value, too."""
    raw = payload.encode("utf-8", "backslashreplace") if isinstance(payload, str) else payload
    told = with_value(detail, raw)
    return DeadLetter(reason=reason, detail=told, payload=bytes(raw), venue=venue)


def dead_frame(venue: str, frame: Frame, detail: str) -> ParsedFrame:
    """Return a frame that cannot be read at all as one dead letter."""
    return ParsedFrame(dead=[broken(venue, frame.text, detail)])


def bad_price(venue: str, payload: str | bytes) -> DeadLetter:
    """Wrap a trade whose price is NaN or infinite (venues send numbers as text)."""
    return broken(venue, payload, "the price is NaN or infinite", Reason.BAD_PRICE)
