"""Whether this process was started as one of the engine's cluster."""

from collections.abc import Mapping, Sequence

_VARIABLES = ("BYTEWAX_PROCESS_ID", "BYTEWAX_ADDRESSES", "BYTEWAX_POD_NAME")


def cluster_words(arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return the arguments and variables that make this one process of a cluster, if it is one.

    Parameters
    ----------
    arguments
        The engine's, as in ``sys.argv``.
    """
    return [
        word
        for word in arguments
        if word.startswith(("-i", "-a", "--p", "--a"))  # the engine takes abbreviations
    ] + [name for name in _VARIABLES if env.get(name)]
