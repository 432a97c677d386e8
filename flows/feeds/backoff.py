"""How long to wait before the next attempt."""

import random

BASE_S = 0.5
CAP_S = 30.0


def backoff_s(
    attempt: int, rng: random.Random, *, base_s: float = BASE_S, cap_s: float = CAP_S
) -> float:
    """Return seconds to wait: doubling from ``base_s`` up to ``cap_s``, less a random half.

    Parameters
    ----------
    attempt
        Failures in a row before this wait, from 0.
    rng
        Spreads clients that lost the same server at the same time.
    base_s, cap_s
        First and longest wait, seconds, > 0.
    """
    longest = min(cap_s, base_s * 2.0 ** min(attempt, 60))
    return longest * rng.uniform(0.5, 1.0)
