"""Where the archive keeps what. Names only; nothing is read or written here.

    FOLDER/topic=ticks.raw/date=2026-02-01/symbol=BTC-USD/00000-00000000000000000000-...parquet
    FOLDER/unreadable/topic=ticks.raw/00000-00000000000000000000-...parquet
    FOLDER/state/ticks.raw/00000.json           the next offset of a partition: what counts
    FOLDER/state/ticks.raw/00000.writing.json   files of a run of offsets that is being written
    FOLDER/state/ticks.raw/00000.lock           held by the process that writes the partition

A file is named by its partition and by the first and the next offset of the run of messages that it
was cut from; the files of a run lie in the folders of its dates and symbols.
"""

from pathlib import Path
from urllib.parse import quote

import numpy as np

SUFFIX = ".parquet"


def run_name(partition: int, first: int, following: int) -> str:
    """Return the file name of the run of offsets [first, following) of a partition."""
    return f"{partition:05d}-{first:020d}-{following:020d}{SUFFIX}"


def topic_folder(topic: str) -> Path:
    """Return a topic's folder of data, below the archive's."""
    return Path(f"topic={topic}")


def data_folder(topic: str, ts_ns: int, symbol: str) -> Path:
    """Return the folder of a symbol's messages of a day (UTC), below the archive's.

    Parameters
    ----------
    ts_ns
        Event time, nanoseconds since the UNIX epoch.
    """
    date = np.datetime64(ts_ns, "ns").astype("datetime64[D]")
    return topic_folder(topic) / f"date={date}" / f"symbol={quote(symbol, safe='')}"


def unreadable_folder(topic: str) -> Path:
    """Return the folder of messages that are none of the topic's, below the archive's."""
    return Path("unreadable") / f"topic={topic}"


def state_file(topic: str, partition: int) -> Path:
    """Return the file that holds the partition's next offset, below the archive's folder."""
    return Path("state") / topic / f"{partition:05d}.json"


def writing_file(topic: str, partition: int) -> Path:
    """Return the file that names what is being written, below the archive's folder."""
    return Path("state") / topic / f"{partition:05d}.writing.json"


def lock_file(topic: str, partition: int) -> Path:
    """Return the file whose lock the partition's writer holds, below the archive's folder."""
    return Path("state") / topic / f"{partition:05d}.lock"
