"""Where the archive keeps what. Names only; nothing is read or written here.

    topic=ticks.raw/date=2026-02-01/symbol=BTC-USD/00000-000007-00000000000000000000-...parquet
    unreadable/topic=ticks.raw/00000-000007-00000000000000000000-...parquet
    state/ticks.raw/00000.json                   the next offset of a partition, and what counts
    state/ticks.raw/00000.writing.000007.json    files of a run of offsets that is being written
    state/ticks.raw/00000.lock                   held by the process that writes the partition
    state/ticks.raw/00000.turn                   held while the state is changed
    backfill/venue=binance/symbol=BTC-USDT/interval=1m/2026-02-01.parquet
                                                 bars of a day, which flows.bars.store replaces

All paths are below the archive's folder, with ``/`` between their parts. A file is named by its
partition, the epoch of its writer (each start is one), and the first and the next offset of the run
of messages that it was cut from; the files of a run lie in the folders of its dates and symbols.
One that several were merged into also names the first epoch of these and the number of its rows
(``...merged-000003-100000.parquet``). Which files count is told by :mod:`.catalog`.
"""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

import numpy as np

SUFFIX = ".parquet"
BACKFILL = "backfill"
"""Folder of backfilled bars."""
REPORTS = "reports"
"""Folder of what is drawn of an archive; it holds no rows."""

_RUN = re.compile(
    r"(?P<partition>\d+)-(?P<epoch>\d+)-(?P<first>\d+)-(?P<following>\d+)"
    r"(?:\.merged-(?P<since>\d+)-(?P<rows>\d+))?\.parquet"
)
_LONGEST_NAME = 200
_KEPT_OF_NAME = 150
_DIGEST_BYTES = 8
_FIRST_NS = -(2**63) + 1  # one less stands for no time at all


@dataclass(frozen=True, slots=True)
class RunName:
    """What the name of a data file says.

    Attributes
    ----------
    partition
        Of the topic.
    epoch
        Of the writer; the last one's where files were merged.
    first, following
        The file was cut from the messages with offsets in [first, following).
    since, rows
        Of merged files: the epoch of the first, and the rows of all; None for a file of one run.
    """

    partition: int
    epoch: int
    first: int
    following: int
    since: int | None = None
    rows: int | None = None

    @property
    def merged(self) -> bool:
        """Whether several files were merged into this one."""
        return self.since is not None

    def __str__(self) -> str:
        """Return the file's name; names of one partition sort by epoch, then by offset."""
        offsets = f"{self.first:020d}-{self.following:020d}"
        kind = "" if self.since is None else f".merged-{self.since:06d}-{self.rows or 0}"
        return f"{self.partition:05d}-{self.epoch:06d}-{offsets}{kind}{SUFFIX}"


def parse_run(name: str) -> RunName | None:
    """Return what a file's name says; None for one that the archive does not give."""
    found = _RUN.fullmatch(name)
    if found is None:
        return None
    partition, epoch = int(found["partition"]), int(found["epoch"])
    first, following = int(found["first"]), int(found["following"])
    if found["since"] is None:
        return RunName(partition, epoch, first, following)
    return RunName(partition, epoch, first, following, int(found["since"]), int(found["rows"]))


def topic_folder(topic: str) -> str:
    """Return a topic's folder of data."""
    return f"topic={topic}"


def data_folder(topic: str, ts_ns: int, symbol: str) -> str:
    """Return the folder of a symbol's messages of a day (UTC).

    Parameters
    ----------
    ts_ns
        Event time, nanoseconds since the UNIX epoch.
    """
    date = np.datetime64(max(ts_ns, _FIRST_NS), "ns").astype("datetime64[D]")
    return f"{topic_folder(topic)}/date={date}/symbol={_quoted(symbol)}"


def _quoted(symbol: str) -> str:
    """Return a symbol as a name that every file system takes; a very long one is cut."""
    quoted = quote(symbol, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    digest = hashlib.blake2b(symbol.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{quoted[:_KEPT_OF_NAME]}~{digest}"


def date_and_symbol(path: str) -> tuple[str, str] | None:
    """Return date and symbol of a data file's path; None where it has none.

    A symbol of more than 200 characters (quoted) is cut there: the file's own column has it whole.
    """
    parts = dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part)
    if "date" not in parts or "symbol" not in parts:
        return None
    return parts["date"], unquote(parts["symbol"])


def unreadable_folder(topic: str) -> str:
    """Return the folder of messages that are none of the topic's."""
    return f"unreadable/{topic_folder(topic)}"


def state_folder(topic: str) -> str:
    """Return the folder of a topic's state."""
    return f"state/{topic}"


def state_file(topic: str, partition: int) -> str:
    """Return the file that holds the partition's next offset."""
    return f"{state_folder(topic)}/{partition:05d}.json"


def writing_prefix(topic: str, partition: int) -> str:
    """Return what the paths of all :func:`writing_file` of a partition begin with."""
    return f"{state_folder(topic)}/{partition:05d}.writing."


def writing_file(topic: str, partition: int, epoch: int) -> str:
    """Return the file that names what a writer is writing."""
    return f"{writing_prefix(topic, partition)}{epoch:06d}.json"


def lock_file(topic: str, partition: int) -> str:
    """Return the file whose lock the partition's writer holds."""
    return f"{state_folder(topic)}/{partition:05d}.lock"


def turn_file(topic: str, partition: int) -> str:
    """Return the file whose lock a process holds while it changes the partition's state."""
    return f"{state_folder(topic)}/{partition:05d}.turn"
