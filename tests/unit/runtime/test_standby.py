"""Where partitions of others can be followed, and where that is refused."""

import threading

import pytest

from flows.errors import ConfigurationError
from flows.runtime.exactly_once import Endpoints
from flows.settings import Settings


def test_following_is_refused_where_nobody_else_owns_anything() -> None:
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1", assignment="all", standby=True)
    with pytest.raises(ConfigurationError, match=r"VOLTICK_STANDBY.*VOLTICK_ASSIGNMENT=group"):
        Endpoints(settings, "g", "ticks.raw", (), threading.Event(), follow_when=lambda: True)
