"""Write a partition's outputs and its input offset together, or not at all.

One producer per partition with a fixed ``transactional.id``: the process that initialises it last
owns the partition, and every earlier owner fails at its next call.

Delivery: exactly once for readers of committed data. It rests on the broker's transactions and on
the group's committed offset.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaException, TopicPartition

from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.bare_offsets import BareOffsets
from flows.connectors.kafka.client import kafka_error, produce_all
from flows.connectors.kafka.fencing import fence
from flows.connectors.kafka.generations import is_in_new_generation
from flows.connectors.kafka.group_commit import GroupCommit, group_commit
from flows.connectors.kafka.hanging import HungClientError, open_ending_producer
from flows.connectors.kafka.positions import CommitMetadata, Start, encode_metadata
from flows.connectors.kafka.producer import Target, TransactionalProducer
from flows.connectors.kafka.refusals import AbortNeededError, NotMemberError, Refusals
from flows.connectors.kafka.retry import retried
from flows.connectors.kafka.settling import Settling

ABORT_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Commit:
    """Batches that a commit made visible, and the seconds it took from its first call on."""

    partition: int
    batches: list[OutputBatch]
    seconds: float


class TransactionalWriter:
    """One partition's transactions; used by a single thread, and every method may block.

    Parameters
    ----------
    target
        What to commit and where.
    producer
        For tests; by default one is opened.
    plan
        Plans the start once every earlier owner is fenced; None where ``target`` has one.
    group_metadata
        Returns the group's view of the member that commits, anew for each commit; None for commits
        that no member of a group makes.
    """

    def __init__(
        self,
        target: Target,
        producer: TransactionalProducer | None = None,
        plan: Callable[[], Start] | None = None,
        group_metadata: Callable[[], object] | None = None,
    ) -> None:
        self._target = target
        self._start = target.start
        self._plan = plan
        self._member = group_metadata
        self._refusals = Refusals(target)
        self._bare = BareOffsets(target)
        self._producer = producer or open_ending_producer(target, self._refusals.note)
        self._group_metadata: object = None
        self._floor = 0
        self._seen: int | None = None
        self._is_leaving = False
        self._metadata = ""
        self._open: list[OutputBatch] = []
        self._sent: OutputBatch | None = None
        self._opened = 0.0
        self._settling = Settling()
        self._log = structlog.get_logger()

    @property
    def partition(self) -> int:
        """The input partition."""
        return self._target.partition

    @property
    def start(self) -> Start:
        """Where this owner starts; once it has taken over."""
        return self._start or Start(self._target.partition, self._floor, self._floor)

    @property
    def floor(self) -> int:
        """The committed input offset: outputs of anything below are out already."""
        return self._floor

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._open)

    @property
    def age_s(self) -> float:
        """Seconds since the open transaction's first batch; 0 without one."""
        return time.monotonic() - self._opened if self._open else 0.0

    def take_over(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Fence every earlier owner of the partition, then read what it has committed.

        Where the run starts otherwise than at the group's commit, its start is committed first,
        unless an earlier owner has committed since the start was planned.

        Parameters
        ----------
        is_wanted
            Asked before each step; once it returns False, nothing more is done: a group that shares
            out anew waits for this, and somebody else may own the partition soon.

        Raises
        ------
        BrokerError
            The broker does not answer or refuses.
        FencedError
            A younger owner was faster.
        """
        if not is_wanted():
            return
        began_s = time.monotonic()
        self._fence("take over", is_wanted)
        fenced_s = time.monotonic()
        if not is_wanted():
            return
        if self._plan is not None:
            self._start = self._plan()
            if not is_wanted():
                return
        found = self._committed()
        seen = self._seen = found.offset
        start = self._start
        if start is not None and seen in (None, start.replaced):
            self._floor = start.emit_from
            self._metadata = self._encoded(start.read_from, None)
            self.keep_alive()
        else:
            self._floor = seen or 0
            self._metadata = found.metadata
        if self._plan is not None:
            self._log.info(
                "partition taken over",
                partition=self._target.partition,
                committed=self._floor,
                fencing_s=round(fenced_s - began_s, 3),
                planning_s=round(time.monotonic() - fenced_s, 3),
            )

    def leave(self) -> None:
        """Take no client but the present one from now on: the partition may have its next owner."""
        self._is_leaving = True

    def keep_alive(self) -> None:
        """Commit the committed offset once more: the broker forgets a group that commits nothing.

        Only between two transactions.

        Raises
        ------
        FencedError, BrokerError
            See :meth:`commit`.
        """
        for attempt in range(ABORT_LIMIT):
            try:
                self._step("begin a transaction", self._producer.begin_transaction)
                self._insist(
                    "commit the input offset",
                    lambda step_s: self._send_offsets(self._floor, self._metadata, step_s),
                )
                self._insist("commit", self._producer.commit_transaction)
            except AbortNeededError as error:
                if attempt == ABORT_LIMIT - 1:
                    raise self._refusals.given_up(error, ABORT_LIMIT) from None
                self._abort_for(error)
            else:
                self._seen = self._floor
                self._bare.note(self._floor, self._metadata, [])
                return

    def write(self, batch: OutputBatch) -> None:
        """Add a batch to the open transaction, leaving out what is committed already."""
        done = self._open[-1].next_offset if self._open else self._floor
        if not batch.emit or batch.next_offset <= done:
            return
        if not self._open:
            self._opened = time.monotonic()
        # An earlier owner of the partition may have committed a part of the batch.
        batch = batch.completed().since(self._floor)
        self._open.append(batch)
        try:
            if len(self._open) == 1:
                self._begin()
            self._produce(batch)
        except AbortNeededError as error:
            self._start_over(error)

    def commit(self) -> Commit:
        """Make everything written since the last commit visible, with the input offset.

        Raises
        ------
        FencedError
            A younger instance owns the partition, or the broker gave this transaction up.
        BrokerError
            The broker refuses, or keeps silent for longer than a transaction may last.
        """
        started = time.monotonic()
        last = self._open[-1]
        for attempt in range(ABORT_LIMIT):
            try:
                if self._sent is not last:
                    self._send_offset_of(last)
                self._insist("commit", self._producer.commit_transaction)
                break
            except AbortNeededError as error:
                if attempt == ABORT_LIMIT - 1:
                    raise self._refusals.given_up(error, ABORT_LIMIT) from None
                self._start_over(error)
        commit = Commit(self._target.partition, self._open, time.monotonic() - started)
        self._settling.note_commit(commit.seconds, caught_up=last.caught_up)
        self._seen = self._floor = last.next_offset
        self._metadata = self._metadata_of(last)
        self._bare.note(self._floor, self._metadata, self._open)
        self._open, self._sent = [], None
        return commit

    def abort(self) -> None:
        """Abort the open transaction, if any; its batches have to be written again."""
        if self._open:
            self._open, self._sent = [], None
            self._insist("abort", self._producer.abort_transaction)
            self._settling.note_end()

    def _begin(self) -> None:
        """Begin a transaction, where it must be so with the input offset of the newest open batch.

        See :mod:`.settling`. The commit sends the offset where it was not sent yet.
        """
        self._sent = None
        self._settling.wait()
        self._step("begin a transaction", self._producer.begin_transaction)
        if self._settling.offset_first:
            self._send_offset_of(self._open[-1])

    def _send_offset_of(self, batch: OutputBatch) -> None:
        metadata = self._metadata_of(batch)
        self._insist(
            "commit the input offset",
            lambda step_s: self._send_offsets(batch.next_offset, metadata, step_s),
        )
        self._sent = batch

    def _metadata_of(self, batch: OutputBatch) -> str:
        return self._encoded(batch.rebuild_from, batch.newest_ms)

    def _encoded(self, rebuild_from: int, newest_ms: int | None) -> str:
        start, writes = self._start, self._target.writes
        topic_id = start.topic_id if start is not None else None
        return encode_metadata(CommitMetadata(rebuild_from, topic_id, newest_ms, writes))

    def _send_offsets(self, offset: int, metadata: str, timeout_s: float) -> None:
        place = TopicPartition(self._target.topic, self._target.partition, offset, metadata)
        if self._member is not None:
            self._group_metadata = self._member()
        self._producer.send_offsets_to_transaction([place], self._group_metadata, timeout_s)

    def _start_over(self, error: AbortNeededError) -> None:
        """Abort and write the open batches again, in a new transaction."""
        for attempt in range(ABORT_LIMIT):
            # A group that shares out anew is nothing to worry about.
            say = self._log.info if isinstance(error, NotMemberError) else self._log.warning
            say(
                "transaction aborted, writing it again",
                partition=self._target.partition,
                cause=str(error),
            )
            self._abort_for(error)
            try:
                self._begin()
                for batch in self._open:
                    if batch.next_offset > self._floor:  # else a hung commit went through
                        self._produce(batch)
            except AbortNeededError as again:
                error = again
                if attempt == ABORT_LIMIT - 1:
                    raise self._refusals.given_up(error, ABORT_LIMIT) from None
            else:
                return

    def _abort_for(self, error: AbortNeededError) -> None:
        """Abort the transaction that cannot be committed, and wait until another could."""
        try:
            if isinstance(error, HungClientError):
                raise error
            self._insist("abort", self._producer.abort_transaction)
        except HungClientError as hung:
            self._replace_client(hung)
        self._settling.note_end()
        self._refusals.forget()
        refused = self._group_metadata
        if isinstance(error, NotMemberError) and not is_in_new_generation(self._member, refused):
            raise self._refusals.given_up(error, ABORT_LIMIT)

    def _replace_client(self, hung: HungClientError) -> None:
        """Give up a client that does not come back, and fence it by a new one.

        The broker drops what the old one left open, unless it was about to commit it: then that is
        the committed offset.

        Raises
        ------
        FencedError
            Another owner has committed meanwhile, or the group has given this member up.
        BrokerError
            The partition is given up, or the new client hangs, too.
        """
        if self._is_leaving:
            raise self._refusals.hung(hung)
        try:
            if self._member is not None:
                self._member()  # one that the group has given up must not fence the next owner
        except NotMemberError as error:
            raise self._refusals.given_up(error, ABORT_LIMIT) from None
        self._log.warning(
            "kafka client hangs, another takes its place",
            partition=self._target.partition,
            cause=str(hung),
        )
        self._producer = open_ending_producer(self._target, self._refusals.note)
        self._fence("take over from a client that hangs", lambda: not self._is_leaving)
        seen = self._committed().offset
        written = self._open[-1].next_offset if self._open else self._floor
        if seen not in (self._seen, self._floor, written):
            raise self._refusals.overtaken(seen)
        self._seen = seen
        if seen == written:
            self._floor = seen

    def _fence(self, what: str, is_wanted: Callable[[], bool]) -> None:
        topic, limit_s = self._target.topic, self._target.limit_s
        try:
            self._step(what, lambda: fence(self._producer, topic, limit_s, is_wanted=is_wanted))
        except HungClientError as error:
            raise self._refusals.hung(error) from None

    def _committed(self) -> GroupCommit:
        """Return the group's commit, and note how commits are made for it."""
        reading = "read the committed offset"
        try:
            found = group_commit(self._target)
        except KafkaException as error:
            raise self._refusals.other(reading, kafka_error(error)) from None
        self._group_metadata = found.as_group
        return found

    def _produce(self, batch: OutputBatch) -> None:
        for records in batch.records:
            if len(records):
                self._enqueue(records)

    def _enqueue(self, records: Records) -> None:
        end = time.monotonic() + self._target.limit_s

        def check() -> None:
            if time.monotonic() >= end:
                raise self._refusals.timed_out()

        messages = zip(records.keys, records.values, strict=True)
        self._step(
            f"write to {records.topic}",
            lambda: produce_all(
                self._producer, records.topic, messages, check, self._target.partition
            ),
        )

    def _step(self, what: str, call: Callable[[], object]) -> None:
        """Call something once; a refusal is told with what it was."""
        try:
            call()
        except KafkaException as error:
            raise self._refusals.of(what, kafka_error(error)) from None

    def _insist(self, what: str, call: Callable[[float], None]) -> None:
        """Call something that waits for the broker, and repeat it as long as that makes sense."""
        self._step(what, lambda: retried(call, self._target.limit_s))
