"""How old a score is, by two clocks that need not agree: the scorer's and this host's."""

from dataclasses import dataclass

from flows.numeric.time import NS_PER_MS


@dataclass(frozen=True)
class Age:
    """The age of a score, or how far it is dated ahead of this host's clock; one of them is 0."""

    age_ms: int
    ahead_ms: int

    def is_stale(self, limit_s: float) -> bool:
        """Return True where the score is older than the limit, or its age cannot be known.

        A score that is dated ahead by more than the limit could be of any age.
        """
        return max(self.age_ms, self.ahead_ms) > limit_s * 1000

    def sentence(self) -> str:
        """Say it in words."""
        if self.ahead_ms:
            return f"dated {self.ahead_ms / 1000:.1f} s ahead of this host's clock"
        return f"{self.age_ms / 1000:.1f} s old"


def age_of(ts_scored_ns: int, now_ns: int) -> Age:
    """Return the age of a score; both times in nanoseconds since the UNIX epoch."""
    if ts_scored_ns > now_ns:
        return Age(0, (ts_scored_ns - now_ns) // NS_PER_MS)
    return Age((now_ns - ts_scored_ns) // NS_PER_MS, 0)
