"""What a flow's process does before it builds its dataflow."""

from collections.abc import Mapping

import pytest
from bytewax.dataflow import Dataflow

from flows.errors import ConfigurationError
from flows.runtime import exactly_once
from flows.runtime.exactly_once import launch


def test_threads_share_arenas_from_before_the_first_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def refused(_environment: Mapping[str, str] | None = None) -> None:
        done.append("settings")
        message = "no"
        raise ConfigurationError(message)

    monkeypatch.setattr(exactly_once, "share_arenas", lambda: done.append("arenas"))
    monkeypatch.setattr(exactly_once, "load_settings", refused)
    with pytest.raises(SystemExit):
        launch(lambda _settings, _stop: Dataflow("none"))
    assert done == ["arenas", "settings"]
