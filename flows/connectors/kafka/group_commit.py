"""What a group has committed of the partition that one of its owners takes over."""

from dataclasses import dataclass

from confluent_kafka import OFFSET_INVALID, Consumer

from flows.connectors.kafka.client import client_config
from flows.connectors.kafka.lookup import committed
from flows.connectors.kafka.producer import Target


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """The group's commit of one partition.

    Attributes
    ----------
    offset
        None where the group has committed none.
    metadata
        Noted beside it; empty where none is.
    as_group
        What a transaction names the group by, where its maker is no member.
    """

    offset: int | None
    metadata: str
    as_group: object


def group_commit(target: Target) -> GroupCommit:
    """Return what the group has committed.

    Raises
    ------
    KafkaException
        The broker refuses, or does not answer in time.
    """
    options = client_config(
        target.config,
        group_id=target.group,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    consumer = Consumer(options)
    try:
        [answer] = committed(consumer, target.topic, [target.partition], target.limit_s)
        as_group = consumer.consumer_group_metadata()
    finally:
        consumer.close()
    offset = None if answer.offset == OFFSET_INVALID else answer.offset
    return GroupCommit(offset, answer.metadata or "", as_group)
