"""Compute the windowed features of ticks that ``schemas.features`` defines."""

from flows.features.kernel import Fold, feature_kernel
from flows.features.state import NOTHING_HELD, FeatureState

__all__ = ["NOTHING_HELD", "FeatureState", "Fold", "feature_kernel", "warm_up"]


def warm_up() -> None:
    """Compile the kernel, or load it from its cache."""
    feature_kernel().compile()
