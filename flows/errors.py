"""Errors that end a command with one clear line, on one page."""


class VoltickError(Exception):
    """Something the operator can act on; the message names cause and cure.

    Entry points print the message, without a traceback, and exit with ``exit_code``.
    """

    exit_code = 2


class ConfigurationError(VoltickError):
    """A setting is unknown, unusable or contradicts another."""


class BrokerError(VoltickError):
    """Kafka cannot be reached or refuses what is asked."""


class FencedError(VoltickError):
    """A younger instance owns this partition now."""

    exit_code = 3


class StopError(VoltickError):
    """A flow was asked to stop and did not come to an end in time."""

    exit_code = 1


class ClockError(VoltickError):
    """A clock was set back under a running flow."""


class LogTrimmedError(VoltickError):
    """The committed or rebuild offset is no longer, or not yet, in the log."""


class UnknownPositionError(VoltickError):
    """Neither a commit nor the outputs tell where a group has to go on."""


class ArchiveError(VoltickError):
    """The archive cannot be written or read, or another process writes it."""


class CaptureError(VoltickError):
    """A recording is missing, truncated or of a foreign format."""


class FeedError(VoltickError):
    """A feed is unknown, unreachable or refuses a subscription."""


class VenueError(FeedError):
    """A venue's REST server cannot be reached, or refuses a request; the message has its words.

    Attributes
    ----------
    status
        HTTP status of the refusal; None where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ModelStoreError(VoltickError):
    """The model store is unreadable or holds no usable model."""


class ModelRejectedError(VoltickError):
    """One model version is broken, tampered with or foreign to this code."""


class PortTakenError(VoltickError):
    """A server cannot listen where it was told to."""


class TrainingError(VoltickError):
    """Training cannot give an honest model from this data."""


class LeakError(TrainingError):
    """A model knows something it cannot know."""

    exit_code = 4


def needs_extra(asked: str, extra: str) -> str:
    """Return the message for what was asked of an extra that is not installed.

    The package is on no index: an extra is installed from the checkout.
    """
    return (
        f"{asked} needs the extra {extra}; in the checkout: pip install -e '.[{extra}]', "
        f"or with uv: uv run --extra {extra}"
    )
