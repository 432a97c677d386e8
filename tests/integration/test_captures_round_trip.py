"""Recordings through ingest, pipeline and archive, and back: a small sample of the command."""

import pytest

from tests.bench.ticklogs import Made
from tests.proof.captures import round_trip


@pytest.mark.timeout(240)
def test_recordings_come_back_from_the_archive_bit_for_bit(embedded_broker, tmp_path) -> None:
    made = Made(2_000, 2).recording(tmp_path / "made.frames.ndjson.gz")
    counts = round_trip(embedded_broker, [made], tmp_path)
    assert counts == {"recordings": 1, "ticks": 2_000, "feature_rows": 2_000}
