"""What options take: a path of this machine, and no address."""

from pathlib import Path

import pytest
import typer

from flows.host.command import on_this_machine


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/prefix", "S3://bucket", "gs://b/x", "https://host/x"],
    ids=["s3", "capitals", "gs", "https"],
)
def test_an_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is an address"):
        on_this_machine(Path(text))


@pytest.mark.parametrize(
    "text",
    ["out", "/s3:/x", "C:/x", "a:b/c", "."],
    ids=["name", "below", "drive", "colon", "here"],
)
def test_a_path_is_passed_on(text: str) -> None:
    assert on_this_machine(Path(text)) == Path(text)


def test_an_option_that_is_not_given_stays_so() -> None:
    assert on_this_machine(None) is None
