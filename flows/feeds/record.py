"""Record a feed while it runs, in the format that replays read.

``python -m flows.feeds.record OUT.frames.ndjson.gz --symbols BTC-USD,ETH-USD --duration 60``
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flows.errors import VoltickError
from flows.feeds.base import Feed, Frame, Parser
from flows.feeds.capture import FORMAT, CaptureWriter, Header
from flows.feeds.processor import IDLE_S, MAX_FRAMES
from flows.feeds.registry import open_feed
from schemas.feeds import FEEDS, FeedName


class RecordingFeed:
    """Pass on another feed's frames and write each of them to a recording.

    Parameters
    ----------
    feed
        Source of the frames.
    path
        A new file.
    note
        For the header.

    Raises
    ------
    CaptureError
        The file exists or cannot be written.
    """

    def __init__(self, feed: Feed, path: Path, note: str = "") -> None:
        self.name = f"{feed.name}, recorded to {path}"
        self.venue = feed.venue
        self.simulated = feed.simulated
        self.live = feed.live
        self.marked = feed.marked
        self.loop_number = 0
        self.finished = False
        self._feed = feed
        header = Header(
            format=FORMAT, venue=feed.venue, source=feed.name, note=note, marked=feed.marked
        )
        self._writer = CaptureWriter(path, header)

    def parser(self) -> Parser:
        """Return the other feed's parser."""
        return self._feed.parser()

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the other feed's frames, once they are written."""
        if self.finished:
            return []
        frames = self._feed.poll(max_frames)
        for frame in frames:
            self._writer.write(frame)
        self._writer.flush()
        self.loop_number = self._feed.loop_number
        if not frames and self._feed.finished:
            self.close()
        return frames

    def close(self) -> None:
        """Finish the file and close the other feed."""
        if not self.finished:
            self.finished = True
            try:
                self._writer.close()
            finally:
                self._feed.close()


def record(
    feed: RecordingFeed,
    stop: threading.Event,
    duration_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Record until the feed ends, ``stop`` is set or time is up; return the number of frames."""
    end = None if duration_s is None else clock() + duration_s
    count = 0
    try:
        while not (feed.finished or stop.is_set()) and (end is None or clock() < end):
            frames = feed.poll(MAX_FRAMES)
            count += len(frames)
            if not frames:
                stop.wait(IDLE_S)
    finally:
        feed.close()
    return count


EXAMPLE = "Example: python -m flows.feeds.record btc.frames.ndjson.gz --symbols BTC-USD"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    out: Annotated[Path, typer.Argument(help="New file, usually NAME.frames.ndjson.gz.")],
    feed: Annotated[
        str, typer.Option(help=f"One of {', '.join(FEEDS)}, or replay:FILE.")
    ] = FeedName.COINBASE_EXCHANGE.value,
    symbols: Annotated[str, typer.Option(help="Comma-separated.")] = "BTC-USD,ETH-USD",
    feed_url: Annotated[str | None, typer.Option(help="Another WebSocket address.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds; until Ctrl-C if unset.")] = None,
    note: Annotated[str, typer.Option(help="For the recording's header.")] = "",
) -> None:
    """Record a feed's frames."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        names = [name.strip() for name in symbols.split(",") if name.strip()]
        source = open_feed(feed, symbols=names, feed_url=feed_url)
        count = record(RecordingFeed(source, out, note), stop, duration)
    except VoltickError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(error.exit_code) from None
    sys.stdout.write(f"{count} frames in {out}\n")


if __name__ == "__main__":
    app()
