"""Record a feed while it runs, in the format that replays read.

``python -m flows.feeds.record OUT.frames.ndjson.gz --symbols BTC-USD,ETH-USD --duration 60`` writes
one file, ``python -m flows.feeds.record FOLDER --minutes 60`` a row of them until it is stopped.
"""

import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Protocol

import typer

from flows.errors import FeedError
from flows.feeds.base import Feed, Frame, Parser
from flows.feeds.capture import FORMAT, CaptureWriter, Header
from flows.feeds.plan import FeedOptions, OpenFeed, plan_feeds
from flows.feeds.processor import IDLE_S, MAX_FRAMES
from flows.feeds.rotation import Limits, RotatingWriter
from flows.host.command import on_this_machine, run_command
from flows.host.signals import on_stop_signals
from schemas.feeds import FEEDS, REPLAY_PREFIX, FeedName, split_feeds


class Writer(Protocol):
    """What takes the frames: one file or a row of them."""

    def write(self, frame: Frame) -> None:  # noqa: D102
        ...

    def flush(self) -> None:  # noqa: D102
        ...

    def close(self) -> None:  # noqa: D102
        ...


class RecordingFeed:
    """Pass on another feed's frames and write each of them to a recording.

    Parameters
    ----------
    feed
        Source of the frames.
    path
        A new file, or a folder for files that are followed by others once they are full.
    note
        For the header.
    limits
        Of each file in a folder; None for one file.
    name
        First part of the names of files in a folder.

    Raises
    ------
    CaptureError
        The file exists or cannot be written.
    """

    def __init__(
        self,
        feed: Feed,
        path: Path,
        note: str = "",
        limits: Limits | None = None,
        name: str = "recording",
    ) -> None:
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
        self._writer: Writer = (
            CaptureWriter(path, header)
            if limits is None
            else RotatingWriter(path, name, header, limits)
        )

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
    return record_all([feed], stop, duration_s, clock)


def record_all(
    feeds: Sequence[RecordingFeed],
    stop: threading.Event,
    duration_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Record until all feeds end, ``stop`` is set or time is up; return the number of frames.

    Raises
    ------
    FeedError, CaptureError
        A feed cannot go on, or a file be written; the other recordings are closed properly.
    """
    end = None if duration_s is None else clock() + duration_s
    count = 0
    with ExitStack() as closing:
        for feed in feeds:
            closing.callback(feed.close)
        while not stop.is_set() and (end is None or clock() < end):
            running = [feed for feed in feeds if not feed.finished]
            if not running:
                break
            taken = sum(len(feed.poll(MAX_FRAMES)) for feed in running)
            count += taken
            if not taken:
                stop.wait(IDLE_S)
    return count


EXAMPLE = "Example: python -m flows.feeds.record btc.frames.ndjson.gz --symbols BTC-USD"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    out: Annotated[
        Path,
        typer.Argument(
            callback=on_this_machine,
            help="New file, usually NAME.frames.ndjson.gz; or a folder, which gets one file after"
            " another.",
        ),
    ],
    feed: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(FEEDS)}, or replay:PATH; several with commas between, each"
            " into a folder of its own below OUT."
        ),
    ] = FeedName.COINBASE_EXCHANGE.value,
    symbols: Annotated[
        str, typer.Option(help="Comma-separated; binance:BTC-USDT is for one feed alone.")
    ] = "BTC-USD,ETH-USD",
    feed_url: Annotated[
        str | None, typer.Option(help="Another address of the feed, if it is one.")
    ] = None,
    poll_interval: Annotated[
        float, typer.Option(help="Seconds between two rounds of a feed that polls.")
    ] = 1.0,
    rate: Annotated[
        float,
        typer.Option(
            envvar="VOLTICK_SIMULATE_RATE_HZ",
            min=0.001,
            max=1_000_000.0,
            help="Simulated ticks per second, all symbols together.",
        ),
    ] = 7.0,
    seed: Annotated[
        int,
        typer.Option(
            envvar="VOLTICK_SIMULATE_SEED", min=0, max=2**32 - 1, help="Of the simulator."
        ),
    ] = 7,
    duration: Annotated[
        float | None,
        typer.Option(help="Seconds; until Ctrl-C if unset.", min=0.001, max=31_536_000.0),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="OUT is a folder: a file is full after so long; 60 if unset."),
    ] = None,
    mb: Annotated[
        float | None,
        typer.Option(help="OUT is a folder: a file is full at this size; 64 if unset."),
    ] = None,
    note: Annotated[str, typer.Option(help="For the recording's header.")] = "",
) -> None:
    """Record the frames of one feed or of several, to be replayed by VOLTICK_FEED=replay:OUT.

    For example, an hour a file until Ctrl-C: python -m flows.feeds.record recordings/binance
    --feed binance --symbols BTC-USDT,ETH-USDT --minutes 60
    """
    stop = threading.Event()
    on_stop_signals(lambda _number: stop.set())
    limits = limits_of(out, minutes, mb)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    options = FeedOptions(
        symbols=names,
        poll_interval_s=poll_interval,
        simulate_rate_hz=rate,
        simulate_seed=seed,
    )
    plan = _plan(feed, feed_url, options)
    with ExitStack() as opened:
        recordings = []
        for name, open_source in plan.items():
            folder = out if len(plan) == 1 else out / name
            source = open_source()
            opened.callback(source.close)
            full = limits if len(plan) == 1 else limits or Limits()
            recordings.append(RecordingFeed(source, folder, note, full, name))
            opened.callback(recordings[-1].close)
        count = record_all(recordings, stop, duration)
    sys.stdout.write(f"{count} frames in {out}\n")


def limits_of(out: Path, minutes: float | None, mb: float | None) -> Limits | None:
    """Return when a file is full; None where there is to be one file.

    Raises
    ------
    FeedError
        A limit is not above 0.
    """
    if minutes is None and mb is None and not out.is_dir():
        return None
    for name, value in (("--minutes", minutes), ("--mb", mb)):
        if value is not None and not 0.0 < value < float("inf"):
            message = f"{name} {value:g} is no number above 0"
            raise FeedError(message)
    usual = Limits()
    return Limits(
        bytes=usual.bytes if mb is None else max(int(mb * 1024 * 1024), 1),
        seconds=usual.seconds if minutes is None else 60.0 * minutes,
    )


def _plan(spec: str, url: str | None, options: FeedOptions) -> dict[str, OpenFeed]:
    """Return what opens each connection, by a name that can be one of a folder.

    Parameters
    ----------
    url
        Another address of the one feed.

    Raises
    ------
    FeedError
        The feeds, their symbols and the address do not fit together, or an interval is unusable.
    """
    names = split_feeds(spec)
    if url is not None and len(names) > 1:
        message = f"--feed-url is one address, and {len(names)} feeds are named"
        raise FeedError(message)
    if not 0.0 < options.poll_interval_s < float("inf"):
        message = f"--poll-interval {options.poll_interval_s:g} is no number above 0"
        raise FeedError(message)
    urls = {_live_name(names[0]): url}
    plan = plan_feeds(spec, dataclasses.replace(options, urls=urls))
    replays = [name for name in plan if name.startswith(REPLAY_PREFIX)]
    if replays and len(plan) > 1:
        message = f"{replays[0]} is recorded alone"
        raise FeedError(message)
    return {"replay" if name in replays else name: plan[name] for name in plan}


def _live_name(name: str) -> str:
    return FeedName.COINBASE_EXCHANGE.value if name == FeedName.AUTO else name


if __name__ == "__main__":
    run_command(app)
