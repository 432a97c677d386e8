"""Settings of the archive: where the topics are kept as Parquet files, and how they are cut."""

from pydantic import BaseModel, Field

from flows.settings.types import ArchivePlace, ArchiveTopics
from schemas.topics import ARCHIVED


class ArchiveSettings(BaseModel):
    """The archive."""

    archive: ArchivePlace = Field(
        ".voltick/archive",
        alias="VOLTICK_ARCHIVE",
        description="Where the archive lies: a folder, or `s3://BUCKET/PREFIX`.",
    )
    archive_topics: ArchiveTopics = Field(
        ARCHIVED,
        alias="VOLTICK_ARCHIVE_TOPICS",
        description="Topics that `flows.archive` keeps, comma-separated.",
    )
    archive_interval_s: float = Field(
        60.0,
        alias="VOLTICK_ARCHIVE_INTERVAL_S",
        gt=0,
        le=3_600,
        allow_inf_nan=False,
        description="Longest time a message waits until it is in the archive.",
    )
    archive_rows: int = Field(
        100_000,
        alias="VOLTICK_ARCHIVE_ROWS",
        ge=1,
        le=1_000_000,
        description="So many messages of a partition are written at once, before the interval is"
        " over.",
    )
