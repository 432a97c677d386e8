"""Redis' refusals by redis-py's classes, as they come out of a command and out of a batch."""

import pytest
from redis import exceptions

from schemas.redis_errors import _MEANINGS, meaning_of, words_of


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (exceptions.OutOfMemoryError("used memory"), "OutOfMemoryError: its memory is full"),
        (exceptions.ReadOnlyError("no"), "ReadOnlyError: it is a replica, which takes no writes"),
        (exceptions.MovedError("1 127.0.0.1:7000"), "MovedError: it is a cluster"),
        (exceptions.ResponseError("BUSY Redis is busy"), "ResponseError: another client's script"),
        (exceptions.ResponseError("MISCONF Redis is"), "ResponseError: it cannot save to its disk"),
        (exceptions.ConnectionError("max number of clients reached"), "maxclients allows"),
        (exceptions.AuthenticationError("WRONGPASS"), "another user or password"),
        (exceptions.ResponseError("DB index is out of range"), "has no database of the number"),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), "its own host"),
        (TimeoutError(), "TimeoutError: no answer in time"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_refusal_is_named_with_its_cure(error, meaning):
    assert meaning in meaning_of(error)


def test_what_redis_says_of_itself_stays_out():
    secret = "redis-7.internal:6379"  # noqa: S105 - an address
    assert meaning_of(exceptions.ConnectionError(secret)) == "ConnectionError"
    assert secret not in meaning_of(exceptions.MovedError(f"1 {secret}"))


def test_the_command_of_a_batch_is_left_out():
    of_a_batch = exceptions.ReadOnlyError(
        "Command # 1 (EVALSHA 07e3 6 key) of pipeline caused error: You can't write"
    )
    assert words_of(of_a_batch) == "You can't write"
    assert words_of(exceptions.ReadOnlyError("You can't write")) == "You can't write"


def test_every_class_with_a_meaning_is_one_of_the_clients():
    assert all(hasattr(exceptions, name) for name in _MEANINGS)
