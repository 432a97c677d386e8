"""What strangers write is shown on a terminal as it is, and neither obeyed nor an error."""

import io

import pytest

from flows.host.terminal import PlainTable, plain_console, visible

HOSTILE = {
    "markup that never began": ("[/b]", "[/b]"),
    "markup": ("[red]A[/red]", "[red]A[/red]"),
    "a link": ("[link=http://x]A", "[link=http://x]A"),
    "an emoji by name": (":bomb:", ":bomb:"),
    "an escape": ("\x1b[2J\x1b]0;t\x07", r"\x1b[2J\x1b]0;t\x07"),
    "lines": ("A\r\nB\x00", r"A\r\nB\x00"),
    "direction": ("\u202eA", r"\u202eA"),
    "letters": ("BTC-é€", "BTC-é€"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_strangers_text_is_shown(case: str) -> None:
    text, shown = HOSTILE[case]
    table = PlainTable("symbol")
    table.add_row(text)
    out = io.StringIO()
    console = plain_console(file=out, width=80)
    console.print(table)
    console.print(visible(text))
    assert out.getvalue().count(shown) == 2
    assert "\x1b" not in out.getvalue()
