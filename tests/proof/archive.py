"""``python -m tests.proof.archive``: kills of ``flows.archive``, every message once."""

import os
import random
from contextlib import ExitStack, nullcontext
from enum import StrEnum
from typing import Annotated

import typer

from flows.connectors.parquet.merging import merge_topic
from flows.connectors.parquet.places import open_storage
from schemas.topics import ARCHIVED
from tests.proof.kill_command import Say, prove
from tests.proof.restarts import survive
from tests.support.archived_log import ArchivedLog
from tests.support.s3 import BUCKET, s3_server

EXAMPLE = "Example: python -m tests.proof.archive --seed 7 --kills 30"
MEMBER = {"VOLTICK_ASSIGNMENT": "group", "VOLTICK_SESSION_TIMEOUT_MS": "3000"}
_MERGED_ROWS = 2_000


class Place(StrEnum):
    """Where the archive lies."""

    FOLDER = "folder"
    BUCKET = "bucket"


app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    seed: Annotated[int, typer.Option(help="Of the kills.")] = 1,
    kills: Annotated[int, typer.Option(min=0, help="How many SIGKILLs.")] = 30,
    place: Annotated[Place, typer.Option(help="Where the archive lies.")] = Place.FOLDER,
    *,
    members: Annotated[bool, typer.Option(help="Another member of the group lives on.")] = False,
) -> None:
    """Kill flows.archive under load on Apache Kafka; hold every row against its message.

    With --members two of a consumer group share the archive, and one of them is killed. Small files
    are merged now and then. Ends with one JSON line; exit code 1 where a message is missing, twice
    or different, or where a file is left that does not count.
    """
    with ExitStack() as stack:
        where = None
        if place is Place.BUCKET:
            os.environ.update(stack.enter_context(s3_server()).environment)
            where = f"s3://{BUCKET}/archive"

        def kill(flow: ArchivedLog, say: Say) -> None:
            with flow.killable("lives-on") if members else nullcontext():
                _kill(flow, say, kills, seed)

        settings = MEMBER if members else {}
        prove(
            "archive",
            lambda *made: ArchivedLog(*made, place=where, settings=settings),
            kill,
            {"seed": seed, "kills": kills, "place": place.value, "members": members},
        )


def _kill(flow: ArchivedLog, say: Say, kills: int, seed: int) -> None:
    storage = open_storage(flow.root)

    def merge_all() -> None:
        for topic in ARCHIVED:
            merge_topic(storage, topic, rows=_MERGED_ROWS)

    def merge_now_and_then(rng: random.Random) -> None:
        if rng.random() < 1 / 3:
            merge_all()

    survive(flow, kills=kills, seed=seed, say=say, between=merge_now_and_then)
    merge_all()
    merge_all()  # removes what the first one has merged
    say("comparing")


if __name__ == "__main__":
    app()
