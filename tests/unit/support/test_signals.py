"""A test that runs a command in process leaves pytest's own handlers of signals behind."""

import signal

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}


def test_a_command_that_takes_signals() -> None:
    for number in HANDLERS:
        signal.signal(number, signal.SIG_IGN)
        assert signal.getsignal(number) is signal.SIG_IGN


def test_handlers_are_those_from_before() -> None:
    assert {number: signal.getsignal(number) for number in HANDLERS} == HANDLERS
