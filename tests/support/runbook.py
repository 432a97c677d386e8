"""What the runbook tells to do: its commands and its calls of the API."""

import re
import shlex
from dataclasses import dataclass

from tests.support.docs import ROOT

_TEXT = (ROOT / "docker" / "RUNBOOK.md").read_text("utf-8")


@dataclass(frozen=True)
class Runbook:
    """Each command once, in words behind ``python``; each call once, as method and path."""

    commands: tuple[tuple[str, ...], ...]
    calls: tuple[tuple[str, str], ...]


def runbook(text: str = _TEXT) -> Runbook:
    """Return what a text tells to do, in spans of code and in blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines()]
    spans = [span.replace("\n", " ") for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    commands, calls = [], []
    for told in (*lines, *spans):
        words = shlex.split(told, comments=True) if told.startswith(("python ", "curl ")) else []
        if words[:1] == ["python"]:
            commands.append(tuple(words[1:]))
        elif words:
            calls.append(("GET", re.sub(r"^https?://[^/]+", "", words[-1])))
        elif call := re.fullmatch(r"(GET|POST) (/\S*)", told):
            calls.append((call[1], call[2]))
    return Runbook(tuple(dict.fromkeys(commands)), tuple(dict.fromkeys(calls)))
