"""Servers of tests take another port where theirs was taken meanwhile."""

import socket

import pytest

from tests.support.embedded import EmbeddedBroker, Valkey


@pytest.mark.parametrize("kind", [EmbeddedBroker, Valkey], ids=["broker", "redis"])
def test_a_port_that_was_taken_meanwhile_is_given_up(kind, tmp_path):
    server = kind(tmp_path / "server")
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        taken = server.port
        with server:
            assert server.port != taken
            assert server.running
