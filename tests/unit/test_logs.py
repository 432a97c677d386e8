"""Logs go to stderr, one event a line, and hold no secrets."""

import json
import logging

import pytest
import structlog

from flows import logs


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_json_is_one_object_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.get_logger().info("tick scored", symbol="BTC-USD")
    logging.getLogger("library").warning("careful %s", 1)
    out, err = capsys.readouterr()
    assert out == ""
    ours, theirs = (json.loads(line) for line in err.splitlines())
    assert (ours["event"], ours["symbol"], ours["level"]) == ("tick scored", "BTC-USD", "info")
    assert (theirs["event"], theirs["level"]) == ("careful 1", "warning")


def test_console_shows_key_value(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console", "info")
    structlog.get_logger().info("tick scored", symbol="BTC-USD")
    assert "symbol=BTC-USD" in capsys.readouterr().err


def test_events_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console", "error")
    structlog.get_logger().warning("quiet")
    logging.getLogger("library").warning("quiet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_secrets_are_hidden(log_format, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format, "info")
    structlog.get_logger().info(
        "connect rediss://me:hunter2@host/0",
        url="redis://:hunter2@h:1",
        sasl_password="hunter2",  # noqa: S106 (what must not show)
    )
    logging.getLogger("library").error("redis://:hunter2@h failed")
    err = capsys.readouterr().err
    assert "hunter2" not in err
    assert "rediss://***@host/0" in err


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_tracebacks_show_no_local_variables(
    log_format: logs.LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format, "info")
    hushed = "".join(["hush", "-", "4711"])
    try:
        int(f"not a number{len(hushed)}")
    except ValueError:
        structlog.get_logger().exception("broken")
    err = capsys.readouterr().err
    assert "not a number9" in err
    assert hushed not in err


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_secrets_are_hidden_in_tracebacks_and_nested_values(
    log_format: logs.LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format, "info")
    log = structlog.get_logger()
    log.info(
        "settings",
        kafka={
            "sasl.password": "hunter2",
            "brokers": ["kafka://me:hunter2@h:1", {"token": "hunter2"}],
        },
        error=ValueError("redis://:hunter2@h"),
    )
    try:
        try:
            raise ValueError("no answer from redis://me:hunter2@h:6379/0")  # noqa: EM101
        except ValueError as error:
            raise RuntimeError({"sasl.password": "hunter2", "port": 4711}) from error
    except RuntimeError:
        log.exception("broken")
        logging.getLogger("library").exception("broken too, sasl_password='hunter2'")
    err = capsys.readouterr().err
    assert "hunter2" not in err
    assert "4711" in err
    assert "no answer from redis://***@h:6379/0" in err
    if log_format == "json":
        assert len([json.loads(line) for line in err.splitlines()]) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:p/w@h:1 and more", "redis://***@h:1 and more"),
        ("amqp://u:p@ss@h", "amqp://***@h"),
        ("VOLTICK_API_TOKEN=abc is too short", "VOLTICK_API_TOKEN=*** is too short"),
        ("{'sasl.password': 'a b', 'x': 1}", "{'sasl.password': ***, 'x': 1}"),
        ("set VOLTICK_API_TOKEN: it is missing", "set VOLTICK_API_TOKEN: it is missing"),
        ("https://example.org/path?x=1", "https://example.org/path?x=1"),
        ("kafka-1:9092, me@example.org", "kafka-1:9092, me@example.org"),
    ],
    ids=["slash", "at", "assigned", "dictionary", "sentence", "plain address", "no address"],
)
def test_only_secrets_are_hidden_in_text(text: str, shown: str) -> None:
    assert logs.hide_in_text(text) == shown


def test_after_the_last_word_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console", "debug")
    known = structlog.get_logger()
    known.info("stopping")
    logs.silence()
    known.error("the broker is away")
    structlog.get_logger().critical("the broker is away")
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["stopping"]
