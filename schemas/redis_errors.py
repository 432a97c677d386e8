"""What Redis' refusals mean, in words that name the cure; for what writes to it and what reads."""

_CLUSTER = "it is a cluster, which keeps keys apart: name a Redis that is none in REDIS_URL"
_ACCESS = "it wants another user or password than REDIS_URL has"
_MEANINGS = {
    "AskError": _CLUSTER,
    "AuthenticationError": _ACCESS,
    "AuthenticationWrongNumberOfArgsError": _ACCESS,
    "BusyLoadingError": "it is loading its data and answers once it has them",
    "ClusterCrossSlotError": _CLUSTER,
    "ClusterDownError": _CLUSTER,
    "MasterDownError": "it is a replica without its primary: name the primary in REDIS_URL",
    "MovedError": _CLUSTER,
    "NoPermissionError": "its access rules (ACL) forbid REDIS_URL's user a command",
    "OutOfMemoryError": "its memory is full: raise its maxmemory, or lower VOLTICK_HISTORY_LENGTH",
    "ReadOnlyError": "it is a replica, which takes no writes: name the primary in REDIS_URL",
    "TimeoutError": "no answer in time",
}
"""By the names of redis-py's classes."""

_PHRASES = {
    "BUSY ": "another client's script keeps it busy: SCRIPT KILL ends that",
    "DB index is out of range": "it has no database of the number that REDIS_URL ends with",
    "MISCONF ": "it cannot save to its disk, and takes no writes until it can",
    "protected mode": "it is in protected mode, which answers its own host alone",
    "max number of clients": "it has as many clients as its maxclients allows",
}
"""By what Redis says, where redis-py has no class for it."""

_OF_A_BATCH = "of pipeline caused error: "


def meaning_of(error: BaseException) -> str:
    """Return an error's kind and what it means; nothing of what Redis says about itself."""
    text = str(error)
    names = [each.__name__ for each in type(error).__mro__]
    found = [_MEANINGS[name] for name in names if name in _MEANINGS]
    found += [meaning for phrase, meaning in _PHRASES.items() if phrase in text]
    return f"{names[0]}: {found[0]}" if found else names[0]


def words_of(error: BaseException) -> str:
    """Return what Redis says, without the command that redis-py puts before it."""
    return str(error).rpartition(_OF_A_BATCH)[2]
