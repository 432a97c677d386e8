"""What a peer is told: where to read and write, by environment variables."""

import os
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "PEER_"


@dataclass(frozen=True)
class Task:
    """One run of a peer.

    Attributes
    ----------
    bootstrap
        Of the broker.
    source, target
        Topics of one partition, both there already.
    group
        Consumer group, application id or the like; new in each run, the same after a kill.
    model
        The ONNX file.
    state
        Folder for what the peer keeps; empty in each run, as it was left after a kill.
    jars
        Folder of a connector's jars; empty where none is needed.
    features
        Whether outputs carry the features, to be checked.
    tuning
        What is tried instead of the peer's own settings: ``name=value``, divided by commas.
    """

    bootstrap: str
    source: str
    target: str
    group: str
    model: str
    state: str
    jars: str = ""
    features: bool = False
    tuning: str = ""

    def environment(self) -> dict[str, str]:
        """Return the variables that tell this task."""
        told = {name: str(value) for name, value in vars(self).items()}
        told["features"] = "1" if self.features else ""
        return {_PREFIX + name.upper(): value for name, value in told.items()}

    @classmethod
    def from_environment(cls) -> "Task":
        """Return the task that this process was given."""
        told = {name: os.environ[_PREFIX + name.upper()] for name in cls.__dataclass_fields__}
        return cls(**{**told, "features": bool(told["features"])})  # type: ignore[arg-type]

    def tuned(self, name: str, counted: str) -> str:
        """Return a setting of the peer: what is tried, or the one that counts."""
        tried = dict(each.split("=", 1) for each in self.tuning.split(",") if each)
        return tried.get(name, counted)

    def jar_files(self) -> list[Path]:
        """Return the connector's jars."""
        return sorted(Path(self.jars).glob("*.jar"))

    @property
    def folder(self) -> Path:
        """The folder for its state."""
        return Path(self.state)
