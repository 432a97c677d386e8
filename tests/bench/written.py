"""What a benchmarked flow writes for a tick: a prediction alone, or its features too."""

from enum import StrEnum


class Written(StrEnum):
    """The outputs of a flow; the value is the last part of a figure's name."""

    PREDICTIONS = ""
    FEATURES = "features"
    FEATURES_BASE64 = "features_base64"

    def named(self, name: str) -> str:
        """Return the name of a figure of a flow that writes this."""
        return f"{name}_{self}" if self else name

    @property
    def publishes_features(self) -> bool:
        """Whether ``ticks.features`` is written."""
        return self is not Written.PREDICTIONS

    @property
    def is_packed(self) -> bool:
        """Whether features are written as base64."""
        return self is Written.FEATURES_BASE64

    @property
    def settings(self) -> dict[str, str]:
        """The pipeline's settings by which it writes this."""
        return {
            "VOLTICK_PUBLISH_FEATURES": str(int(self.publishes_features)),
            "VOLTICK_FEATURES_FORMAT": "base64" if self.is_packed else "numbers",
        }
