"""What the Kafka client costs is measured without a failed message."""

from tests.bench import client


def test_a_batch_is_written_and_reported() -> None:
    found = client.run(1)
    assert found["messages"] == client.BATCH
    assert found["produce_batch_ns"] > 0
    assert found["delivery_reports_ns"] > 0
