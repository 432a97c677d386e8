"""What the errors of a partition's transactions mean."""

from confluent_kafka import KafkaError, Message

from flows.connectors.kafka.client import undelivered
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.retry import is_passing
from flows.errors import BrokerError, FencedError, VoltickError

_FENCED = {
    KafkaError._FENCED,  # noqa: SLF001 (librdkafka's names of its own error codes)
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
}
# Fatal for the client, too, but nobody has fenced it.
_NOT_ALLOWED = {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
}
_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
_STATE = KafkaError._STATE  # noqa: SLF001
_TAKEN_BACK = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001


# The group has shared out anew, or has given this member up.
_NOT_A_MEMBER = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
}


def _is_denied(error: KafkaError | None) -> bool:
    return error is not None and error.code() in _DENIED


class AbortNeededError(BrokerError):
    """The transaction cannot be committed any more; the message names the cause."""


class NotMemberError(AbortNeededError):
    """The group does not know the commit's maker as its member, or not in this generation."""


class Refusals:
    """Errors of one partition's transactions, in words for who operates the flow."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._failure: KafkaError | None = None

    def note(self, error: KafkaError, message: Message) -> None:
        """Take note of a message that was not delivered; a transaction's first says why.

        What the client takes back because the transaction has failed is no cause of that.
        """
        if self._failure is None and error.code() not in _TAKEN_BACK:
            self._failure = KafkaError(error.code(), undelivered(error, message.topic()))

    def forget(self) -> None:
        """Know no more of a transaction that was aborted."""
        self._failure = None

    def of(self, what: str, error: KafkaError) -> VoltickError:
        """Return what a client's error means.

        Parameters
        ----------
        what
            Was to be done, as in "commit".
        """
        failure = self._failure
        if error.code() in _NOT_ALLOWED:
            return self.other(what, error)
        denied = next((each for each in (failure, error) if _is_denied(each)), None)
        if denied is not None:  # another try would be denied, too
            return self.other(what, denied)
        if error.code() in _FENCED or error.fatal():
            return FencedError(
                f"partition {self._target.partition} of {self._target.topic} belongs to a younger"
                f" instance of group {self._target.group} now, or the broker gave up a transaction"
                f" that was open for longer than {self._target.limit_s:g} s; this one ends"
                f" ({error.str()})"
            )
        if error.code() in _NOT_A_MEMBER:
            return NotMemberError(error.str())
        # Writing in a transaction that has failed is an erroneous state.
        if error.txn_requires_abort() or error.code() == _STATE:
            cause = error if failure is None else failure
            return AbortNeededError(cause.str())
        return self.other(what, error)

    def overtaken(self, committed: int | None) -> FencedError:
        """Return the error for a commit that is another owner's."""
        return FencedError(
            f"partition {self._target.partition} of {self._target.topic} belongs to a younger"
            f" instance of group {self._target.group} now, which has committed up to {committed};"
            " this one ends"
        )

    def hung(self, error: AbortNeededError) -> BrokerError:
        """Return the error for a client that does not come back, and that no other replaces."""
        where = f"partition {self._target.partition} of {self._target.topic}"
        return BrokerError(f"{where}: {error}; start this again")

    def timed_out(self) -> BrokerError:
        """Return the error for a broker that takes no messages."""
        where = f"partition {self._target.partition} of {self._target.topic}"
        return BrokerError(f"{where}: the broker took nothing for {self._target.limit_s:g} s")

    def other(self, what: str, error: KafkaError) -> BrokerError:
        """Return an error that nothing is known to help against but another start."""
        where = f"partition {self._target.partition} of {self._target.topic}"
        cure = (
            f"; the broker kept it waiting for {self._target.limit_s:g} s: see that it runs, then"
            " start this again"
            if is_passing(error)
            else self._allow(error)
        )
        return BrokerError(f"{where}: cannot {what}: {error.str()}{cure}")

    def _allow(self, error: KafkaError) -> str:
        """Return what a user is to be allowed."""
        if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return (
                f"; allow DESCRIBE and WRITE on the transactional ids {self._target.group}-0,"
                f" {self._target.group}-1, ... (prefix {self._target.group}-)"
            )
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return f"; allow READ on group {self._target.group}"
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return "; allow WRITE on the topics that this flow writes"
        return ""

    def given_up(self, error: AbortNeededError, aborts: int) -> VoltickError:
        """Return the error for a transaction that was aborted again and again."""
        if isinstance(error, NotMemberError):
            return FencedError(
                f"partition {self._target.partition} of {self._target.topic}: group"
                f" {self._target.group} has given this member up ({error})"
            )
        where = f"partition {self._target.partition} of {self._target.topic}"
        return BrokerError(f"{where}: {aborts} transactions in a row were aborted: {error}")
