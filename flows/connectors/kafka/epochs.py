"""Numbers of ownerships, which batches carry."""

import itertools

# Unique in the process, whichever worker owns or follows.
_EPOCHS = itertools.count(1)


def new_epoch() -> int:
    """Return a number that no batch of this process carries yet."""
    return next(_EPOCHS)
