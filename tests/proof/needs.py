"""What a command needs of the machine, asked before anything is started."""

import sys

import typer

from tests.support.kafka.jars import JarsUnavailableError, kafka_classpath


def require_apache() -> None:
    """End the command with exit code 2 and the reason where Apache Kafka cannot be run."""
    try:
        kafka_classpath()
    except JarsUnavailableError as reason:
        sys.stderr.write(f"{reason}\n")
        raise typer.Exit(2) from None
