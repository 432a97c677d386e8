"""What Redis tells of itself: a memory that is full or loses keys, and a replica."""

from collections.abc import Mapping
from typing import Any

_NEVER = "noeviction"
_NEARLY_FULL = 0.95


def describe(told: Mapping[str, Any]) -> str:
    """Return how a Redis that answers is.

    Parameters
    ----------
    told
        Its answer to ``INFO``, by field; empty where it does not tell.
    """
    if told.get("role") != "slave":
        return "answers"
    link = "" if told.get("master_link_status") == "up" else ", and has lost its primary"
    return f"answers; it is a replica{link}: the pipeline must write to the primary"


def memory_warnings(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what threatens the scores for want of memory.

    Parameters
    ----------
    told
        See :func:`describe`.
    """
    most, policy = told.get("maxmemory", 0), told.get("maxmemory_policy", _NEVER)
    used = told.get("used_memory", 0) - told.get("mem_not_counted_for_evict", 0)
    if not most or used < _NEARLY_FULL * most:
        return ()
    full = f"Redis' memory is full ({used / most:.0%} of its maxmemory)"
    cure = "raise it, or lower VOLTICK_HISTORY_LENGTH"
    if policy == _NEVER:
        return () if used < most else (f"{full}, so that it takes no new scores: {cure}",)
    if not told.get("evicted_keys"):
        return ()
    return (
        f"{full}, and {policy} has removed {told['evicted_keys']} keys since its start, symbols"
        f" with their history among them: {cure}",
    )
