"""Whether the group knows a member under another generation than one that it has refused."""

import time
from collections.abc import Callable

from flows.connectors.kafka.refusals import NotMemberError

NEW_GENERATION_LIMIT_S = 5.0
"""How long to wait until the member hears of the generation that the group has begun."""

_LOOK_S = 0.01


def is_in_new_generation(member: Callable[[], object] | None, refused: object) -> bool:
    """Wait until the group's view of a member is another than the one it has refused.

    Parameters
    ----------
    member
        Returns the view, or raises :class:`NotMemberError`; None for what is no member.

    Returns
    -------
    Whether it came in time.
    """
    end = time.monotonic() + NEW_GENERATION_LIMIT_S
    while member is not None and time.monotonic() < end:
        try:
            if member() != refused:
                return True
        except NotMemberError:
            return False
        time.sleep(_LOOK_S)
    return False
